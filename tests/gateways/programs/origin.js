// An origin server of Node's own kind. Its one argument is the path of the gate.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");

const gate = process.argv[2];
const flood = { written: 0, closed: false };
const block = Buffer.alloc(64 * 1024, "flood");

function atGate(act) {
  fs.existsSync(gate) ? act() : setTimeout(atGate, 10, act);
}

const paths = {
  "/events"(request, response) {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("data: first\n\n");
    atGate(() => response.end("data: second\n\n"));
  },
  "/early"(request, response) {
    response.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    atGate(() => response.end("late"));
  },
  "/upload"(request, response) {
    const hash = crypto.createHash("sha1");
    let length = 0;
    request.on("data", (part) => {
      length += part.length;
      hash.update(part);
    });
    request.on("end", () => {
      const framing = request.headers["transfer-encoding"] || request.headers["content-length"];
      response.end(JSON.stringify({ length, sha1: hash.digest("hex"), framing }));
    });
  },
  // Takes no content until the gate is open.
  "/reluctant"(request, response) {
    atGate(() => paths["/upload"](request, response));
  },
  // 256 MiB, as fast as they are taken.
  "/flood"(request, response) {
    let left = 4096;
    response.writeHead(200, { "Content-Length": left * block.length });
    response.on("close", () => { flood.closed = true; });
    const more = () => {
      while (left > 0) {
        left -= 1;
        flood.written += block.length;
        if (!response.write(block)) {
          response.once("drain", more);
          return;
        }
      }
      response.end();
    };
    more();
  },
  "/flooded"(request, response) {
    response.end(JSON.stringify(flood));
  },
  "/trailers"(request, response) {
    response.writeHead(200, { Trailer: "X-Sum" });
    response.write("content");
    response.addTrailers({ "X-Sum": "7" });
    response.end();
  },
  "/length"(request, response) {
    response.setHeader("Content-Length", 5);
    response.end(request.method === "HEAD" ? undefined : "12345");
  },
};

const server = http.createServer((request, response) => {
  const act = paths[request.url.split("?")[0]];
  if (act) {
    act(request, response);
  } else {
    response.writeHead(404);
    response.end("nowhere");
  }
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
