/* A periodic loop on clock_nanosleep with absolute times, as cyclictest has it: what the kernel's timer gives.
 *
 * nanosleep CORE PERIOD_NS COUNT
 *
 * Prints how much later than its time each wake-up came, in ns. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int count, char **words)
{
    if (count != 4)
        return 2;
    long long period = atoll(words[2]);
    long turns = atol(words[3]);
    long long *late = malloc(turns * sizeof *late);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(atoi(words[1]), &set);
    if (!late || sched_setaffinity(0, sizeof set, &set))
        return 1;
    prctl(PR_SET_TIMERSLACK, 1);
    long long next = now() + period;
    for (long turn = 0; turn < turns; turn++, next += period) {
        struct timespec until = {next / 1000000000LL, next % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        late[turn] = now() - next;
    }
    printf("{\"samples\": [");
    for (long turn = 0; turn < turns; turn++)
        printf("%s%lld", turn ? ", " : "", late[turn]);
    printf("]}\n");
    return 0;
}
