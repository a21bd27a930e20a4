/* SPDX-License-Identifier: MIT */
/* Two threads that write one variable without a lock, for the thread sanitizer to find. */
#include <pthread.h>
#include <stddef.h>

static int shared;

static void *write_shared(void *argument)
{
    for (int i = 0; i < 1000; i++) {
        shared++;
    }
    return argument;
}

int main(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, write_shared, NULL) != 0) {
        return 0;
    }
    write_shared(NULL);
    pthread_join(thread, NULL);
    return 0;
}
