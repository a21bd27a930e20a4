#!/usr/bin/env -S python3 -W error
# SPDX-License-Identifier: MIT
"""asyncio_pool_test ENDPOINT: what asyncio_pool.py promises to who imports it, with one connection (one.json)."""
import asyncio
import sys

from asyncio_pool import PoolError, Pools, visit

TIMED_OUT, CLOSED = 1, 2
TURNS = 40  # of the loop: more than an acquire and a visit take


async def cancelled_at_every_turn(pools, endpoint):
    """Whenever a task is cancelled, while another has the connection or not, none is lost."""
    for is_waiting in (False, True):
        for turns in range(TURNS):
            if is_waiting:
                other = asyncio.create_task(visit(pools, "web", endpoint))
                await asyncio.sleep(0)
            task = asyncio.create_task(visit(pools, "web", endpoint))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task, other] if is_waiting else [task])
            assert task.cancelled() or task.result()[0] > 0
            assert not is_waiting or other.result()[0] > 0
            await visit(pools, "web", endpoint)
    assert not pools._futures


async def out_of_time(pools, endpoint):
    async with pools.lease("web", endpoint):
        try:
            async with pools.lease("web", endpoint, timeout=0.001):
                assert False
        except PoolError as error:
            assert error.status == TIMED_OUT, error


async def discarded(pools, endpoint):
    """After an exception the connection is not used again; without one it is."""
    _, first = await visit(pools, "web", endpoint)
    assert (await visit(pools, "web", endpoint))[1] == first
    try:
        async with pools.lease("web", endpoint) as connection:
            assert connection.info.id == first
            raise ArithmeticError
    except ArithmeticError:
        pass
    assert (await visit(pools, "web", endpoint))[1] == first + 1


async def unknown(pools, endpoint):
    for arguments, kind in ((("none", endpoint), KeyError), (("web", "no endpoint"), PoolError)):
        try:
            async with pools.lease(*arguments):
                assert False
        except kind:
            pass


async def closed(endpoint):
    """What waits when the pools are closed is told so; what is out may come back later."""
    pools = await Pools("one.json").__aenter__()
    lease = pools.lease("web", endpoint)
    await lease.__aenter__()
    waiting = asyncio.create_task(visit(pools, "web", endpoint))
    await asyncio.sleep(0)
    closing = asyncio.create_task(pools.__aexit__(None, None, None))
    try:
        await waiting
        assert False
    except PoolError as error:
        assert error.status == CLOSED, error
    await lease.__aexit__(None, None, None)
    await closing


async def main(endpoint):
    async with Pools("one.json") as pools:
        await cancelled_at_every_turn(pools, endpoint)
        await out_of_time(pools, endpoint)
        await discarded(pools, endpoint)
        await unknown(pools, endpoint)
    await closed(endpoint)


asyncio.run(main(sys.argv[1]))
