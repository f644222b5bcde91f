// SPDX-License-Identifier: Apache-2.0
//
// How late the machine wakes who sleeps to an absolute instant: THREADS threads wake every
// 20 ms, WAKES times each, spread evenly. Prints how late each wake-up was, in nanoseconds.

#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PERIOD = 20 * 1000 * 1000 };

static long threads, wakes;
static int64_t began, *late;

static int64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *run(void *arg) {
	long id = (long)(intptr_t)arg;
	int64_t due = began + (int64_t)PERIOD * id / threads;
	for (long i = 0; i < wakes; i++) {
		due += PERIOD;
		struct timespec t = {due / 1000000000, due % 1000000000};
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
		}
		late[id * wakes + i] = now() - due;
	}
	return NULL;
}

int main(int argc, char **argv) {
	if (argc != 3 || (threads = atol(argv[1])) < 1 || (wakes = atol(argv[2])) < 1) {
		fprintf(stderr, "usage: floor THREADS WAKES\n");
		return 2;
	}
	pthread_t *list = calloc((size_t)threads, sizeof *list);
	late = calloc((size_t)(threads * wakes), sizeof *late);
	if (!list || !late) {
		perror("floor");
		return 1;
	}
	began = now();
	for (long i = 0; i < threads; i++) {
		if (pthread_create(&list[i], NULL, run, (void *)(intptr_t)i)) {
			perror("floor");
			return 1;
		}
	}
	for (long i = 0; i < threads; i++) pthread_join(list[i], NULL);
	for (long i = 0; i < threads * wakes; i++) printf("%lld\n", (long long)late[i]);
	return 0;
}
