// CONNECT in HTTP/2 (RFC 9113 section 8.5): node connect.js PROXY AUTHORITY WORDS
//
// Says with which status a stream was granted, then what came back for the words, up to its end; or why it was not.
"use strict";

const http2 = require("node:http2");

const [proxy, authority, words] = process.argv.slice(2);
const session = http2.connect(`http://${proxy}`);
const stream = session.request({ ":method": "CONNECT", ":authority": authority });
let heard = "";
stream.setEncoding("utf8");
stream.on("response", (fields) => {
    console.log(fields[":status"], fields["leno-error"] ?? "granted");
    if (fields[":status"] === 200) {
        stream.end(words.replaceAll("|", "\r\n"));
    }
});
stream.on("data", (data) => {
    heard += data;
});
stream.on("end", () => {
    console.log(heard.replaceAll("\r\n", "|"));
    session.close();
});
stream.on("error", (error) => console.log(error.code));
