/* In the place of crypto/rand/rand_meth.c: what is random comes from the host whenever some is asked for, and nothing of it is
   kept. OpenSSL's own generators are in memory, which is in the component and in the snapshot that every request's instance
   begins as: each of them would make the same keys. */
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include "rand_local.h"

/* The C library gives no more at once. */
#define MOST 256

static int bytes(unsigned char *out, int count) {
    while (count > 0) {
        int part = count < MOST ? count : MOST;
        if (getentropy(out, part) != 0)
            return 0;
        out += part;
        count -= part;
    }
    return 1;
}

/* What others add is not needed. */
static int seed(const void *from, int count) {
    return 1;
}

static int add(const void *from, int count, double randomness) {
    return 1;
}

static int status(void) {
    return 1;
}

RAND_METHOD ossl_rand_meth = {seed, bytes, NULL, add, bytes, status};

/* RAND_bytes and its like ask the generators in memory where the method is this one, which it never is. */
RAND_METHOD *RAND_OpenSSL(void) {
    static RAND_METHOD none;
    return &none;
}

/* What is called first of all, and is in the library of TLS elsewhere. */
int OPENSSL_init_ssl(uint64_t options, const OPENSSL_INIT_SETTINGS *settings) {
    return OPENSSL_init_crypto(options | OPENSSL_INIT_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS, settings);
}
