// A FastCGI client, for what nginx would never do: half requests, many connections, talking to one worker pool directly.
"use strict";
const net = require("node:net");

function record(type, content = Buffer.alloc(0), id = 1) {
	const pad = -content.length & 7, head = Buffer.from([1, type, id >> 8, id & 255, content.length >> 8, content.length & 255, pad, 0]);
	return Buffer.concat([head, content, Buffer.alloc(pad)]);
}
function pair(name, value) {
	const size = (n) => (n < 128 ? Buffer.from([n]) : Buffer.from([0x80 | (n >> 24), n >> 16 & 255, n >> 8 & 255, n & 255]));
	const k = Buffer.from(name), v = Buffer.from(value);
	return Buffer.concat([size(k.length), size(v.length), k, v]);
}
// The bytes of a whole request.
function encode(method, uri, { body = "", token, headers = {} } = {}) {
	const data = Buffer.from(body);
	const params = {
		REQUEST_METHOD: method, REQUEST_URI: uri, QUERY_STRING: uri.split("?")[1] || "", CONTENT_LENGTH: String(data.length), ...headers,
	};
	if (token) params.HTTP_AUTHORIZATION = `Bearer ${token}`;
	const parts = [record(1, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])), record(4, Buffer.concat(Object.entries(params).map(([k, v]) => pair(k, v)))), record(4)];
	for (let at = 0; at < data.length; at += 32768) parts.push(record(5, data.subarray(at, at + 32768)));
	parts.push(record(5));
	return Buffer.concat(parts);
}
// Reads records until the end of the request; undefined when there is none.
function decode(bytes) {
	const out = [];
	let ended = false;
	for (let at = 0; at + 8 <= bytes.length;) {
		const n = bytes.readUInt16BE(at + 4), pad = bytes[at + 6];
		if (at + 8 + n + pad > bytes.length) break;
		if (bytes[at + 1] === 6) out.push(bytes.subarray(at + 8, at + 8 + n));
		if (bytes[at + 1] === 3) ended = true;
		at += 8 + n + pad;
	}
	if (!ended) return undefined;
	const text = Buffer.concat(out).toString("utf8"), split = text.indexOf("\r\n\r\n");
	return { status: Number(/^Status: (\d+)/.exec(text)[1]), head: text.slice(0, split), body: text.slice(split + 4) };
}
// Connects (a path, or a port on 127.0.0.1) and sends bytes as they are. answer: a promise of the decoded answer, or {closed: true}.
function open(address, bytes) {
	const socket = net.connect(typeof address === "number" ? { port: address, host: "127.0.0.1" } : { path: address });
	const got = [];
	const connection = { socket, connected: false, closed: false };
	socket.on("connect", () => { connection.connected = true; }).on("data", (d) => got.push(d)).on("error", () => {});
	connection.answer = new Promise((done) => socket.on("close", () => {
		connection.closed = true;
		done(decode(Buffer.concat(got)) || { closed: true, connected: connection.connected });
	}));
	connection.ready = new Promise((done) => socket.once("connect", () => done(true)).once("error", () => done(false)));
	if (bytes) socket.write(bytes);
	return connection;
}
const request = (address, method, uri, options) => open(address, encode(method, uri, options)).answer;

module.exports = { encode, decode, open, request };
