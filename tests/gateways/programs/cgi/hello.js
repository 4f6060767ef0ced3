#!/usr/bin/node
const line = require("fs").readFileSync(0, "utf8").split("\n")[0];
const { REQUEST_METHOD, PATH_INFO } = process.env;
process.stdout.write(`Content-Type: text/plain\n\nnode: ${REQUEST_METHOD} ${PATH_INFO} ${line}\n`);
