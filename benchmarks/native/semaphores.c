/* A ring of processes that pass a token with bare POSIX semaphores: the floor of any hand-off.
 *
 * semaphores PROCESSES CORE[,CORE...] WARMUP SAMPLES
 *
 * Process i runs on the i-th core (the last one for the rest). The first one times each turn of the token, in ns. */
#define _GNU_SOURCE
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 256 };

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set)) {
        perror("sched_setaffinity");
        exit(1);
    }
}

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int count, char **words)
{
    if (count != 5)
        return 2;
    int processes = atoi(words[1]), cores[MOST], known = 0;
    long warmup = atol(words[3]), samples = atol(words[4]);
    for (char *core = strtok(words[2], ","); core && known < MOST; core = strtok(NULL, ","))
        cores[known++] = atoi(core);
    if (processes < 2 || processes > MOST || !known || samples < 1)
        return 2;
    sem_t *turn = mmap(NULL, processes * sizeof *turn, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long long *took = malloc(samples * sizeof *took);
    if (turn == MAP_FAILED || !took)
        return 1;
    for (int each = 0; each < processes; each++)
        sem_init(&turn[each], 1, 0);
    for (int each = 1; each < processes; each++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pin(cores[each < known ? each : known - 1]);
            for (long turns = 0; turns < warmup + samples; turns++) {
                sem_wait(&turn[each]);
                sem_post(&turn[(each + 1) % processes]);
            }
            _exit(0);
        }
    }
    pin(cores[0]);
    for (long turns = -warmup; turns < samples; turns++) {
        long long start = now();
        sem_post(&turn[1]);
        sem_wait(&turn[0]);
        if (turns >= 0)
            took[turns] = now() - start;
    }
    while (wait(NULL) > 0)
        ;
    printf("{\"samples\": [");
    for (long each = 0; each < samples; each++)
        printf("%s%lld", each ? ", " : "", took[each]);
    printf("]}\n");
    return 0;
}
