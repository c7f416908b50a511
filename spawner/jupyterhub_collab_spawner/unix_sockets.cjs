// Loaded into configurable-http-proxy before its own code. For Unix sockets it opens a connection for each request and
// asks the server to close it: where the server has answered and closed before the proxy has flushed the end of the
// request, the flush fails with EPIPE and the browser gets 503 for what was saved. TCP hides that. Here connections to
// Unix sockets are kept, as those to TCP ports are.
"use strict";
const http = require("node:http");

const agent = new http.Agent({ keepAlive: true });
const request = http.request;
http.request = (options, ...rest) => {
  if (options.socketPath && options.agent === false) {
    options.agent = agent;
    if (options.headers?.connection === "close") options.headers.connection = "keep-alive";
  }
  return request(options, ...rest);
};
require("node:module").syncBuiltinESMExports();
