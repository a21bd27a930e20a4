/* SPDX-License-Identifier: MIT */
/* postgres_buffer: libpq's growing texts, whose header lacks one macro of the server's own headers. */
#ifndef POSTGRES_BUFFER_H
#define POSTGRES_BUFFER_H

#ifndef pg_attribute_printf
#define pg_attribute_printf(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#endif
#include <internal/pqexpbuffer.h>

#endif
