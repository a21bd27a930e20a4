/* SPDX-License-Identifier: MIT */
/* describe_markdown: a manager's options as a table of Markdown: the section of its manual that nobody writes by hand.
 */
#ifndef DESCRIBE_MARKDOWN_H
#define DESCRIBE_MARKDOWN_H

#include <connpool/manager.h>

/* Prints it on standard output. */
void describe_markdown(const struct connpool_manager *manager);

#endif
