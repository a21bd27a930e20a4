/* SPDX-License-Identifier: MIT */
/* ssh_run: runs one command on a leased session, in the borrower's thread. */
#ifndef SSH_RUN_H
#define SSH_RUN_H

#include <connpool/ssh.h>

/* Member of struct connpool_ssh_runner. */
int32_t ssh_run(struct connpool_ssh_runner *runner, struct connpool_ssh_command *command, struct connpool_fault *fault);

#endif
