/* What cachegrind and our cache simulator both run: hashing, sorting and a matrix product, with the
 * locality of ordinary programs. The argument is how often to do it all. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLOTS = 1 << 14, KEYS = 6000, N = 40 };

static struct { uint64_t key, value; } table[SLOTS];
static uint32_t sorted[KEYS];
static double a[N][N], b[N][N], c[N][N];

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static int compare(const void *x, const void *y)
{
    uint32_t l = *(const uint32_t *)x, r = *(const uint32_t *)y;
    return (l > r) - (l < r);
}

int main(int argc, char **argv)
{
    uint64_t state = 2013, sum = 0;
    for (int round = argc > 1 ? atoi(argv[1]) : 1; round > 0; round--) {
        for (int i = 0; i < KEYS; i++) {
            uint64_t key = next(&state) | 1, slot = key % SLOTS;
            while (table[slot].key && table[slot].key != key) {
                slot = (slot + 1) % SLOTS;
            }
            table[slot].key = key;
            table[slot].value++;
            sorted[i] = (uint32_t)key;
        }
        qsort(sorted, KEYS, sizeof *sorted, compare);
        for (int i = 0; i < SLOTS; i++) {
            sum += table[i].value;
            table[i].key = 0;
        }
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) {
                a[i][j] = (double)sorted[i * N + j];
                b[i][j] = i + j;
                for (int k = 0; k < N; k++) {
                    c[i][j] += a[i][k] * b[k][j];
                }
            }
        }
    }
    printf("%llu %g\n", (unsigned long long)sum, c[1][2]);
    return 0;
}
