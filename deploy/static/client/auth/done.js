// A stage of user-interactive authentication was completed in the browser (client-server API, § Fallback): tell the client.
"use strict";
if (window.onAuthDone) window.onAuthDone();
else if (window.opener && window.opener.postMessage) window.opener.postMessage("authDone", "*");
