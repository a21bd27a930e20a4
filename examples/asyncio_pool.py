#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""asyncio_pool: how do I use connpool from another language? From Python with asyncio and ctypes, nothing to install:

    python3 asyncio_pool.py first.json web example.org:6379

shares ten connections to a Redis server among a hundred tasks. The reactor is one descriptor that asyncio watches and
one call that asyncio makes; an acquire is a future; a lease is an `async with`. The file can be imported, too.
"""
import asyncio
import contextlib
import ctypes
import itertools
import socket
import sys
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_int32, c_int64, c_uint32, c_uint64, c_void_p

OK = 0
WAIT_DEFAULT = -2


# ---- The library: its structs and calls, as connpool.h and async.h have them


class Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("error_class", c_int32), ("os_error", c_int32), ("library_code", c_int64),
                ("text", c_char * 512)]


class Lease(ctypes.Structure):
    _fields_ = [("connection", c_void_p), ("generation", c_uint64)]


class Request(ctypes.Structure):
    _fields_ = [("record", c_void_p), ("generation", c_uint64)]


class LeaseInfo(ctypes.Structure):
    _fields_ = [("size", c_uint32), ("is_new", c_uint32), ("id", c_uint64), ("uses", c_uint64), ("age", c_int64),
                ("pool", c_void_p), ("endpoint", c_char_p), ("manager", c_char_p)]


Acquired = ctypes.CFUNCTYPE(None, c_void_p, c_int, POINTER(Lease), POINTER(Error))

library = ctypes.CDLL("libconnpool.so.0")
for name, result, *arguments in [
        ("open", c_void_p, c_char_p, POINTER(Error)),
        ("close", c_int, c_void_p, c_int, c_void_p),
        ("pool_get", c_void_p, c_void_p, c_char_p),
        ("endpoint_get", c_int, c_void_p, c_char_p, POINTER(c_void_p), POINTER(Error)),
        ("endpoint_put", None, c_void_p),
        ("release", c_int, POINTER(Lease)),
        ("discard", c_int, POINTER(Lease)),
        ("lease_info", c_int, POINTER(Lease), POINTER(LeaseInfo)),
        ("lease_native", c_void_p, POINTER(Lease), c_char_p),
        ("reactor_new", c_void_p, c_void_p, POINTER(Error)),
        ("reactor_fd", c_int, c_void_p),
        ("reactor_dispatch", c_int, c_void_p),
        ("reactor_close", c_int, c_void_p),
        ("acquire_async", c_int, c_void_p, c_void_p, c_int, Acquired, c_void_p, POINTER(Request), POINTER(Error)),
        ("request_cancel", c_int, POINTER(Request))]:
    function = getattr(library, "connpool_" + name)
    function.restype, function.argtypes = result, arguments


class PoolError(Exception):
    """What the library answers with another status than OK."""

    def __init__(self, error):
        super().__init__(error.text.decode())
        self.status, self.error_class, self.os_error = error.status, error.error_class, error.os_error


# ---- What a program works with


class Connection:
    """A leased connection of the manager tcp. It is the pool's: nothing with it after the lease's end."""

    def __init__(self, lease):
        self.lease = lease
        descriptor = library.connpool_lease_native(byref(lease), b"connpool.tcp/1")
        if not descriptor:
            library.connpool_release(byref(lease))
            raise TypeError("the pool's manager is not tcp")
        self.socket = socket.socket(fileno=c_int32.from_address(descriptor).value)
        self.socket.setblocking(False)  # as it is: so that Python knows
        self.info = LeaseInfo(size=ctypes.sizeof(LeaseInfo))
        library.connpool_lease_info(byref(lease), byref(self.info))

    async def send(self, data):
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def receive(self, size=65536):
        data = await asyncio.get_running_loop().sock_recv(self.socket, size)
        if not data:
            raise ConnectionError("the server ended the connection")
        return data

    def give_back(self, is_healthy):
        self.socket.detach()  # closing it is the pool's
        (library.connpool_release if is_healthy else library.connpool_discard)(byref(self.lease))


class Pools:
    """An open configuration and its reactor in the running loop: `async with Pools("app.json") as pools:`."""

    def __init__(self, path):
        self._path, self._numbers, self._futures, self._endpoints = path, itertools.count(1), {}, {}
        self._acquired = Acquired(self._tell)  # lives as long as C may call it

    async def __aenter__(self):
        error = Error()
        self._context = library.connpool_open(self._path.encode(), byref(error))
        if not self._context:
            raise PoolError(error)
        self._reactor = library.connpool_reactor_new(self._context, byref(error))
        if not self._reactor:
            library.connpool_close(self._context, 0, None)
            raise PoolError(error)
        self._descriptor = library.connpool_reactor_fd(self._reactor)
        asyncio.get_running_loop().add_reader(self._descriptor, library.connpool_reactor_dispatch, self._reactor)
        return self

    async def __aexit__(self, *_):
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._descriptor)
        library.connpool_reactor_close(self._reactor)  # acquires under way end with "closed"
        for endpoint in self._endpoints.values():
            library.connpool_endpoint_put(endpoint)
        await loop.run_in_executor(None, library.connpool_close, self._context, 1000, None)  # may wait

    def _tell(self, number, status, lease, error):
        """Called by the library inside a dispatch: the end of an acquire."""
        future = self._futures.pop(number)
        if status != OK:
            if not future.done():
                future.set_exception(PoolError(error.contents))
        elif future.done():  # its task was cancelled, and has not run since
            library.connpool_release(lease)
        else:
            future.set_result(Lease.from_buffer_copy(lease.contents))

    def _endpoint(self, pool, endpoint):
        if (pool, endpoint) not in self._endpoints:
            handle, error = c_void_p(), Error()
            found = library.connpool_pool_get(self._context, pool.encode())
            if not found:
                raise KeyError(pool)
            if library.connpool_endpoint_get(found, endpoint.encode(), byref(handle), byref(error)) != OK:
                raise PoolError(error)
            self._endpoints[pool, endpoint] = handle
        return self._endpoints[pool, endpoint]

    async def _acquire(self, pool, endpoint, timeout):
        future, number = asyncio.get_running_loop().create_future(), next(self._numbers)
        limit = WAIT_DEFAULT if timeout is None else int(timeout * 1000)
        request, error = Request(), Error()
        if library.connpool_acquire_async(self._reactor, self._endpoint(pool, endpoint), limit, self._acquired, number,
                                          byref(request), byref(error)) != OK:
            raise PoolError(error)
        self._futures[number] = future
        try:
            return await future
        except asyncio.CancelledError:
            if library.connpool_request_cancel(byref(request)) == OK:
                del self._futures[number]
            elif future.done() and not future.cancelled() and future.exception() is None:
                library.connpool_release(byref(future.result()))  # it came just before
            raise

    @contextlib.asynccontextmanager
    async def lease(self, pool, endpoint, timeout=None):
        """`async with pools.lease("cache", "127.0.0.1:6379") as connection:` is released at the end, discarded after an
        exception: what is still under way on the connection then nobody knows. timeout: seconds."""
        connection = Connection(await self._acquire(pool, endpoint, timeout))
        try:
            yield connection
        except BaseException:
            connection.give_back(is_healthy=False)
            raise
        connection.give_back(is_healthy=True)


# ---- The program


async def visit(pools, pool, endpoint):
    async with pools.lease(pool, endpoint, timeout=5) as connection:
        await connection.send(b"INCR visits\r\n")
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += await connection.receive()
        return int(answer[1:]), connection.info.id


async def main(path, pool, endpoint):
    async with Pools(path) as pools:
        visits = await asyncio.gather(*(visit(pools, pool, endpoint) for _ in range(100)))
        numbers, connections = zip(*visits)
        print(f"{len(set(numbers))} visits over {len(set(connections))} connections")

        async with contextlib.AsyncExitStack() as stack:  # all connections are out: a task that wants one is cancelled
            leases = [await stack.enter_async_context(pools.lease(pool, endpoint)) for _ in set(connections)]
            waiting = asyncio.create_task(visit(pools, pool, endpoint))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            print(f"{len(leases)} leased, the waiting task was cancelled: {waiting.cancelled()}")
        number, connection = await visit(pools, pool, endpoint)
        print(f"visit {number - min(numbers) + 1} over connection {connection}")


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (PoolError, ConnectionError) as failure:
        sys.exit(str(failure))
