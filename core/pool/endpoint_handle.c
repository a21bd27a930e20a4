/* SPDX-License-Identifier: MIT */
/* endpoint_handle: endpoints as the application holds them: counted, and the context with them. */
#include "pool/acquire_call.h"
#include "pool/endpoints.h"

connpool_status connpool_endpoint_get(connpool_pool *pool, const char *name, connpool_endpoint **endpoint,
                                      connpool_error *error)
{
    connpool_error why = {.status = CONNPOOL_NOT_FOUND};
    struct connpool_endpoint *found;

    if (pool == NULL) {
        return cp_acquire_call_refuse_null("pool", error);
    }
    if (cp_pool_is_forked(pool)) {
        return cp_acquire_call_refuse_forked(pool, error);
    }
    found = cp_endpoints_get(pool, name, &why);
    if (found == NULL) {
        if (error != NULL) {
            *error = why;
        }
        return why.status;
    }
    cp_context_ref(pool->context);
    *endpoint = found;
    return CONNPOOL_OK;
}

void connpool_endpoint_put(connpool_endpoint *endpoint)
{
    struct connpool *context;

    if (endpoint != NULL && !cp_pool_is_forked(endpoint->pool)) {
        context = endpoint->pool->context;
        cp_endpoints_put(endpoint);
        cp_context_unref(context);
    }
}

const char *connpool_endpoint_name(const connpool_endpoint *endpoint)
{
    return endpoint->name;
}
