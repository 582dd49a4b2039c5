// The login fallback of the client-server API (§ Login Fallback): a client opens this page in a web view and gets
// the answer of POST /login through window.matrixLogin.onLogin(). device_id and initial_device_display_name may
// stand in the query, as the specification has it.
"use strict";

const byId = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

async function login(user, password) {
	const body = { type: "m.login.password", identifier: { type: "m.id.user", user }, password };
	for (const key of ["device_id", "initial_device_display_name"])
		if (query.has(key)) body[key] = query.get(key);
	const answer = await fetch("/_matrix/client/v3/login", {
		method: "POST",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify(body),
	});
	const json = await answer.json();
	if (!answer.ok) throw new Error(json.error || "Login failed");
	return json;
}

byId("login").addEventListener("submit", async (event) => {
	event.preventDefault();
	byId("send").disabled = true;
	byId("message").textContent = "";
	try {
		const response = await login(byId("user").value, byId("password").value);
		byId("password").value = "";
		if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(response);
		else if (window.onLogin) window.onLogin(response);	// the name before v1.1
		byId("message").textContent = "Logged in. You can go back to your application.";
	} catch (fault) {
		byId("message").textContent = fault.message;
	} finally {
		byId("send").disabled = false;
	}
});
