/* SPDX-License-Identifier: MIT */
/* connpool/version.h: the version of these headers; connpool_version() tells that of the library that runs. */
#ifndef CONNPOOL_VERSION_H
#define CONNPOOL_VERSION_H

#define CONNPOOL_VERSION_MAJOR 0
#define CONNPOOL_VERSION_MINOR 1
#define CONNPOOL_VERSION_PATCH 0
#define CONNPOOL_VERSION       "0.1.0"

#endif
