// Answers GET / with the headers that its own request to NEXT came with, if there is one, else with those that it was asked with.
'use strict';

const http = require('node:http');

const server = http.createServer(async (request, response) => {
  const headers = process.env.NEXT ? await (await fetch(process.env.NEXT)).json() : request.headers;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(headers));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.on('SIGTERM', () => server.close());
