/* SPDX-License-Identifier: MIT */
/* cases: the functions of the cases, by the file that holds them. What each asks is said where it is. */
#ifndef CONFORM_CASES_H
#define CONFORM_CASES_H

#include "conform.h"

typedef void conform_case_fn(const struct conform_subject *subject);

/* cases_table.c */
conform_case_fn case_table, case_rows, case_parse_endpoint;
/* cases_options.c */
conform_case_fn case_option_limits, case_option_types, case_option_required, case_option_refused_keywords;
/* cases_steps.c */
conform_case_fn case_life, case_life_blocking_driver, case_life_loop, case_thread_hop, case_early_calls,
    case_late_calls, case_unchanged, case_destroy_open, case_destroy_check, case_destroy_reset, case_destroy_close,
    case_close_cut;
/* cases_time.c */
conform_case_fn case_steps_are_short, case_steps_are_short_silent, case_steps_are_short_slow;
/* cases_connection.c */
conform_case_fn case_descriptors_told, case_descriptors_returned, case_native, case_handles, case_idle, case_lost,
    case_mute;
/* cases_peer.c */
conform_case_fn case_peer_refuses, case_peer_silent, case_peer_full, case_peer_ends, case_peer_resets,
    case_peer_garbled, case_faults;
/* cases_proxy.c */
conform_case_fn case_byte_by_byte, case_cut, case_parked_lost;
/* cases_pool.c */
conform_case_fn case_pool_life, case_pool_threads, case_pool_lost, case_fork;
/* cases_parallel.c */
conform_case_fn case_parallel_opens;
/* cases_reactor.c */
conform_case_fn case_reactor, case_reactor_peers;
/* cases_secret.c */
conform_case_fn case_secrets;

#endif
