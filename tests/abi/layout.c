/* SPDX-License-Identifier: MIT */
/*
 * The plugin ABI as plugins were compiled with it: the values of its constants, and its layout on LP64. A number here
 * may never change; a new constant gets a new line, a new member a new line at the end of its struct and a new size.
 */
#include <connpool/manager.h>

#define VALUE(name, value) _Static_assert((name) == (value), #name)

_Static_assert(CONNPOOL_MANAGER_MAGIC == UINT64_C(0x6c6f6f706e6e6f63), "CONNPOOL_MANAGER_MAGIC");

VALUE(CONNPOOL_ERROR_TRANSIENT, 1);
VALUE(CONNPOOL_ERROR_REFUSED, 2);
VALUE(CONNPOOL_ERROR_UNREACHABLE, 3);
VALUE(CONNPOOL_ERROR_AUTHENTICATION, 4);
VALUE(CONNPOOL_ERROR_TRUST, 5);
VALUE(CONNPOOL_ERROR_CONFIGURATION, 6);
VALUE(CONNPOOL_ERROR_PROTOCOL, 7);
VALUE(CONNPOOL_ERROR_CLOSED, 8);
VALUE(CONNPOOL_ERROR_TIMEOUT, 9);
VALUE(CONNPOOL_ERROR_RESOURCE_LOCAL, 10);
VALUE(CONNPOOL_ERROR_RESOURCE_REMOTE, 11);
VALUE(CONNPOOL_ERROR_UNSUPPORTED, 12);
VALUE(CONNPOOL_ERROR_MISBEHAVING, 13);
VALUE(CONNPOOL_ERROR_INTERNAL, 14);

VALUE(CONNPOOL_SCOPE_CONNECTION, 0);
VALUE(CONNPOOL_SCOPE_ADDRESS, 1);
VALUE(CONNPOOL_SCOPE_ENDPOINT, 2);

VALUE(CONNPOOL_STEP_DONE, 0);
VALUE(CONNPOOL_STEP_AGAIN, 1);

VALUE(CONNPOOL_EVENT_READ, 1);
VALUE(CONNPOOL_EVENT_WRITE, 2);
VALUE(CONNPOOL_EVENT_HANGUP, 4);

VALUE(CONNPOOL_WAIT_FOR_LOOP, 1);
VALUE(CONNPOOL_WAIT_CUT, 2);
VALUE(CONNPOOL_WAIT_WAKE, 256);
VALUE(CONNPOOL_WAIT_BUSY, 512);

VALUE(CONNPOOL_LOG_ERROR, 0);
VALUE(CONNPOOL_LOG_WARNING, 1);
VALUE(CONNPOOL_LOG_INFO, 2);
VALUE(CONNPOOL_LOG_DEBUG, 3);

VALUE(CONNPOOL_DIAL_DELAY, 1);
VALUE(CONNPOOL_DIAL_IPV4, 2);
VALUE(CONNPOOL_DIAL_IPV6, 4);

VALUE(CONNPOOL_LEVEL_POOL, 1);
VALUE(CONNPOOL_LEVEL_ENDPOINT, 2);
VALUE(CONNPOOL_LEVEL_BOTH, 3);

VALUE(CONNPOOL_TYPE_STRING, 1);
VALUE(CONNPOOL_TYPE_INTEGER, 2);
VALUE(CONNPOOL_TYPE_NUMBER, 3);
VALUE(CONNPOOL_TYPE_BOOLEAN, 4);
VALUE(CONNPOOL_TYPE_DURATION, 5);
VALUE(CONNPOOL_TYPE_SIZE, 6);
VALUE(CONNPOOL_TYPE_PATH, 7);
VALUE(CONNPOOL_TYPE_CHOICE, 8);
VALUE(CONNPOOL_TYPE_LIST, 9);
VALUE(CONNPOOL_TYPE_SECRET, 10);
VALUE(CONNPOOL_TYPE_MAP, 11);

VALUE(CONNPOOL_OPTION_REQUIRED, 1);
VALUE(CONNPOOL_OPTION_SHARED, 2);

VALUE(CONNPOOL_BLOCKING_OPEN, 1);
VALUE(CONNPOOL_BLOCKING_CHECK, 2);
VALUE(CONNPOOL_BLOCKING_PREPARE, 4);
VALUE(CONNPOOL_BLOCKING_RESET, 8);
VALUE(CONNPOOL_BLOCKING_IDLE, 16);
VALUE(CONNPOOL_BLOCKING_CLOSE, 32);

#if UINTPTR_MAX == UINT64_MAX

#define SIZE(type, bytes)           _Static_assert(sizeof(struct type) == (bytes), "size of " #type)
#define OFFSET(type, member, bytes) _Static_assert(offsetof(struct type, member) == (bytes), #type "." #member)

SIZE(connpool_fault, 256);
OFFSET(connpool_fault, size, 0);
OFFSET(connpool_fault, error_class, 4);
OFFSET(connpool_fault, scope, 8);
OFFSET(connpool_fault, os_error, 12);
OFFSET(connpool_fault, library_code, 16);
OFFSET(connpool_fault, text, 24);

SIZE(connpool_wait, 56);
OFFSET(connpool_wait, size, 0);
OFFSET(connpool_wait, flags, 4);
OFFSET(connpool_wait, fd, 8);
OFFSET(connpool_wait, events, 12);
OFFSET(connpool_wait, ready, 16);
OFFSET(connpool_wait, reserved, 20);
OFFSET(connpool_wait, now, 24);
OFFSET(connpool_wait, deadline, 32);
OFFSET(connpool_wait, at, 40);
OFFSET(connpool_wait, token, 48);

SIZE(connpool_dial_options, 72);
OFFSET(connpool_dial_options, size, 0);
OFFSET(connpool_dial_options, port, 4);
OFFSET(connpool_dial_options, host, 8);
OFFSET(connpool_dial_options, path, 16);
OFFSET(connpool_dial_options, bind_host, 24);
OFFSET(connpool_dial_options, bind_port, 32);
OFFSET(connpool_dial_options, flags, 36);
OFFSET(connpool_dial_options, keepalive_idle, 40);
OFFSET(connpool_dial_options, keepalive_interval, 48);
OFFSET(connpool_dial_options, keepalive_count, 56);
OFFSET(connpool_dial_options, reserved, 60);
OFFSET(connpool_dial_options, user_timeout, 64);

SIZE(connpool_host, 160);
OFFSET(connpool_host, size, 0);
OFFSET(connpool_host, reserved, 4);
OFFSET(connpool_host, name, 8);
OFFSET(connpool_host, version, 16);
OFFSET(connpool_host, context, 24);
OFFSET(connpool_host, log, 32);
OFFSET(connpool_host, clock, 40);
OFFSET(connpool_host, wake, 48);
OFFSET(connpool_host, get_extension, 56);
OFFSET(connpool_host, dial_start, 64);
OFFSET(connpool_host, dial_step, 72);
OFFSET(connpool_host, dial_take, 80);
OFFSET(connpool_host, dial_stop, 88);
OFFSET(connpool_host, resolve_start, 96);
OFFSET(connpool_host, resolve_step, 104);
OFFSET(connpool_host, resolve_take, 112);
OFFSET(connpool_host, resolve_stop, 120);
OFFSET(connpool_host, offload_start, 128);
OFFSET(connpool_host, offload_step, 136);
OFFSET(connpool_host, offload_take, 144);
OFFSET(connpool_host, offload_stop, 152);

SIZE(connpool_list, 16);
OFFSET(connpool_list, items, 0);
OFFSET(connpool_list, count, 8);
OFFSET(connpool_list, reserved, 12);

SIZE(connpool_map, 24);
OFFSET(connpool_map, keys, 0);
OFFSET(connpool_map, values, 8);
OFFSET(connpool_map, count, 16);
OFFSET(connpool_map, reserved, 20);

SIZE(connpool_option, 64);
OFFSET(connpool_option, name, 0);
OFFSET(connpool_option, help, 8);
OFFSET(connpool_option, level, 16);
OFFSET(connpool_option, type, 20);
OFFSET(connpool_option, flags, 24);
OFFSET(connpool_option, offset, 28);
OFFSET(connpool_option, default_text, 32);
OFFSET(connpool_option, minimum, 40);
OFFSET(connpool_option, maximum, 48);
OFFSET(connpool_option, choices, 56);

SIZE(connpool_head, 24);
OFFSET(connpool_head, host, 0);
OFFSET(connpool_head, options, 8);
OFFSET(connpool_head, parent, 16);

SIZE(connpool_manager, 208);
OFFSET(connpool_manager, magic, 0);
OFFSET(connpool_manager, abi_major, 8);
OFFSET(connpool_manager, abi_minor, 10);
OFFSET(connpool_manager, size, 12);
OFFSET(connpool_manager, name, 16);
OFFSET(connpool_manager, version, 24);
OFFSET(connpool_manager, summary, 32);
OFFSET(connpool_manager, options, 40);
OFFSET(connpool_manager, option_count, 48);
OFFSET(connpool_manager, option_stride, 52);
OFFSET(connpool_manager, options_size, 56);
OFFSET(connpool_manager, pool_size, 60);
OFFSET(connpool_manager, endpoint_size, 64);
OFFSET(connpool_manager, connection_size, 68);
OFFSET(connpool_manager, blocking_operations, 72);
OFFSET(connpool_manager, reserved, 76);
OFFSET(connpool_manager, load, 80);
OFFSET(connpool_manager, pool_init, 88);
OFFSET(connpool_manager, pool_fini, 96);
OFFSET(connpool_manager, endpoint_init, 104);
OFFSET(connpool_manager, endpoint_fini, 112);
OFFSET(connpool_manager, parse_endpoint, 120);
OFFSET(connpool_manager, open, 128);
OFFSET(connpool_manager, check, 136);
OFFSET(connpool_manager, prepare, 144);
OFFSET(connpool_manager, reset, 152);
OFFSET(connpool_manager, idle, 160);
OFFSET(connpool_manager, close, 168);
OFFSET(connpool_manager, destroy, 176);
OFFSET(connpool_manager, native, 184);
OFFSET(connpool_manager, descriptors, 192);
OFFSET(connpool_manager, get_extension, 200);

#endif
