// Real ed25519 keys of devices and users, and signed JSON, for tests of end-to-end encryption.
"use strict";
const crypto = require("node:crypto");
const { login } = require("./client.js");

const V3 = "/_matrix/client/v3";
const b64 = (buf) => Buffer.from(buf).toString("base64").replace(/=+$/, "");
// Canonical JSON of what these tests sign: sorted keys.
const canonical = (v) => v === null || typeof v !== "object" ? JSON.stringify(v)
	: Array.isArray(v) ? `[${v.map(canonical)}]`
		: `{${Object.keys(v).sort().map((k) => `${JSON.stringify(k)}:${canonical(v[k])}`)}}`;

class Key {
	constructor() {
		const { publicKey, privateKey } = crypto.generateKeyPairSync("ed25519");
		this.private = privateKey;
		this.public = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
		this.text = b64(this.public);
	}

	// obj with a signature of this key added; id: "ed25519:<id>".
	sign(obj, user, id = `ed25519:${this.text}`) {
		const { signatures, unsigned, ...rest } = obj;
		const sig = b64(crypto.sign(null, Buffer.from(canonical(rest)), this.private));
		return { ...obj, signatures: { ...signatures, [user]: { ...signatures?.[user], [id]: sig } } };
	}
}

const deviceKeys = (c, key = (c.key ??= new Key()), more = {}) => key.sign({
	user_id: c.userId, device_id: c.deviceId, algorithms: ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
	keys: { [`curve25519:${c.deviceId}`]: b64(crypto.randomBytes(32)), [`ed25519:${c.deviceId}`]: key.text }, ...more,
}, c.userId, `ed25519:${c.deviceId}`);
const publish = async (c) => {
	c.device = deviceKeys(c);
	await upload(c, { device_keys: c.device });
};
const cross = (usage, user, key) => ({ user_id: user, usage: [usage], keys: { [`ed25519:${key.text}`]: key.text } });
const crossKeys = (c) => {
	c.master = new Key();
	c.self = new Key();
	c.user = new Key();
	return {
		master_key: cross("master", c.userId, c.master),
		self_signing_key: c.master.sign(cross("self_signing", c.userId, c.self), c.userId),
		user_signing_key: c.master.sign(cross("user_signing", c.userId, c.user), c.userId),
	};
};
const query = (c, ...users) => c.ok("POST", `${V3}/keys/query`, { device_keys: Object.fromEntries(users.map((u) => [u, []])) });
const secondDevice = (c) => login(c.server, c.name, c.password);
const upload = (c, body) => c.ok("POST", `${V3}/keys/upload`, body);
const curve = (n) => `signed_curve25519:${n}`;

module.exports = { b64, Key, deviceKeys, publish, cross, crossKeys, query, secondDevice, upload, curve };
