// A server of Node's http that says what it reads of a request: its method, its path, its roles.
const http = require('node:http');
const path = require('node:path');

const decoded = (text) => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const pathOf = (text) => {
  try {
    return new URL(text, 'http://reader').pathname;
  } catch {
    return undefined;
  }
};

const answer = (request, response) => {
  // As programs find files: by the URL of browsers, or by the text up to the query.
  const found = pathOf(request.url);
  if (found === undefined) {
    response.statusCode = 400;
    response.end();
    return;
  }
  const url = decoded(found);
  const plain = path.posix.normalize(decoded(request.url.split('?')[0]).replaceAll('\\', '/'));
  const said = request.rawHeaders.filter((_, at) => at % 2 && /^x-role$/i.test(request.rawHeaders[at - 1]));
  const roles = [request.headers['x-role'] ?? '', ...said];
  const paths = `${path.posix.normalize(url)}|${plain}`;
  response.end(`${request.method}\n${paths}\n${roles.join('|')}\n`);
};

for (const address of process.argv.slice(2)) {
  const [host, port] = address.split(':');
  http.createServer(answer).listen(Number(port), host);
}
