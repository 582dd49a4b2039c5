/* tests/unit/crypto/ed25519.c */
#include <criterion/criterion.h>

#include "core/base/b64.h"
#include "core/crypto/crypto.h"

static unsigned char *
unhex(struct arena *a, const char *s, size_t *n)
{
	unsigned char *p = arena_alloc(a, strlen(s) / 2 + 1);

	*n = strlen(s) / 2;
	for (size_t i = 0; i < *n; i++) {
		unsigned int v;

		cr_assert_eq(sscanf(s + 2 * i, "%2x", &v), 1);
		p[i] = (unsigned char)v;
	}
	return p;
}

/* RFC 8032, 7.1: tests 1, 2, 3 and SHA(abc) */
static const struct {
	const char *seed, *pub, *msg, *sig;
} vectors[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
	{ "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
	  "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
	  "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	  "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704" },
};

Test(ed25519, rfc_8032)
{
	struct arena *a = arena_new();

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		size_t n, msg_n;
		unsigned char *msg = unhex(a, vectors[i].msg, &msg_n), sig[ED25519_SIG];
		struct signing_key *k = signing_key_new("ed25519:1", unhex(a, vectors[i].seed, &n));

		cr_assert_str_eq(k->id, "ed25519:1");
		cr_assert_arr_eq(k->pub, unhex(a, vectors[i].pub, &n), ED25519_PUB);
		ed25519_sign(k, msg, msg_n, sig);
		cr_assert_arr_eq(sig, unhex(a, vectors[i].sig, &n), ED25519_SIG);
		cr_assert(ed25519_verify(k->pub, msg, msg_n, sig));
		sig[i] ^= 1;
		cr_assert_not(ed25519_verify(k->pub, msg, msg_n, sig));
	}
	arena_free(a);
}

Test(ed25519, other_message_or_key)
{
	static const unsigned char seed[ED25519_SEED] = { 1 }, other[ED25519_SEED] = { 2 }, zero[ED25519_PUB];
	struct signing_key *k = signing_key_new("ed25519:a", seed), *l = signing_key_new("ed25519:b", other);
	unsigned char sig[ED25519_SIG];

	ed25519_sign(k, "hello", 5, sig);
	cr_assert(ed25519_verify(k->pub, "hello", 5, sig));
	cr_assert_not(ed25519_verify(k->pub, "hellp", 5, sig));
	cr_assert_not(ed25519_verify(k->pub, "hell", 4, sig));
	cr_assert_not(ed25519_verify(l->pub, "hello", 5, sig));
	cr_assert_not(ed25519_verify(zero, "hello", 5, sig));
}

/* Appendices, "Cryptographic Test Vectors": the key, and its signature of the canonical form of {}. */
Test(ed25519, seed_of_the_specification)
{
	struct arena *a = arena_new();
	size_t n;
	unsigned char *seed = b64_decode(a, "YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1", 43, &n), sig[ED25519_SIG];
	struct signing_key *k;

	cr_assert_eq(n, ED25519_SEED);
	k = signing_key_new("ed25519:1", seed);
	cr_assert_str_eq(b64_encode(a, k->pub, ED25519_PUB), "XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI");
	ed25519_sign(k, "{}", 2, sig);
	cr_assert_str_eq(b64_encode(a, sig, sizeof(sig)),
	    "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ");
	arena_free(a);
}
