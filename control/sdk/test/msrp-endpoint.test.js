import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { environment } from "../src/environment.js";
import { Endpoint } from "../src/msrp/endpoint.js";
import { Reader } from "../src/msrp/reader.js";
import { fakeWorld } from "./fake-world.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const OURS = "msrp://x7.invalid:2855/own;ws";
const THEIRS = "msrp://media.example.com:40001/Ab3d;ws";

beforeEach(() => {
  fakeWorld();
});

/** An endpoint, what it sent (as frames) and what it told. */
function endpoint({ bound = true, ...settings } = {}) {
  const reader = new Reader(1 << 20);
  const out = [];
  const told = [];
  let verdict;
  const end = new Endpoint({
    localUri: OURS, remotePath: [THEIRS], acceptTypes: ["text/plain"], octetsMax: 10000, ...settings,
  }, {
    transmit: (octets) => out.push(...reader.push(octets.slice())),
    bound: () => told.push("bound"),
    message: ({ messageId, contentType, body }) => {
      told.push(["message", messageId, contentType, decoder.decode(body)]);
      return verdict;
    },
    sent: (id) => told.push(["sent", id]),
    failed: (id, status) => told.push(["failed", id, status]),
    broken: (status) => told.push(["broken", status]),
  });
  const all = {
    end,
    told,
    refuseWith: (status) => { verdict = status; },
    take: () => out.splice(0),
    respond: (frame, status = 200, now = 0) => end.receive(encoder.encode(
      `MSRP ${frame.tid} ${status} x\r\nTo-Path: ${OURS}\r\nFrom-Path: ${THEIRS}\r\n-------${frame.tid}$\r\n`,
    ), now),
    receive: (text, now = 0) => end.receive(encoder.encode(text), now),
  };
  if (bound) {
    end.opened(0);
    all.respond(all.take()[0]);
    told.splice(0);
  }
  return all;
}

let tids = 0;

/** A request from the far end. */
function incoming(body, {
  id = "M1", range, flag = "$", method = "SEND", type = "text/plain", to = OURS, from = THEIRS,
  more = "",
} = {}) {
  tids += 1;
  const tid = `tid${tids}x`;
  const head = `MSRP ${tid} ${method}\r\nTo-Path: ${to}\r\nFrom-Path: ${from}\r\n`
    + `${id ? `Message-ID: ${id}\r\n` : ""}${range ? `Byte-Range: ${range}\r\n` : ""}${more}`;
  return body === null
    ? `${head}-------${tid}${flag}\r\n`
    : `${head}Content-Type: ${type}\r\n\r\n${body}\r\n-------${tid}${flag}\r\n`;
}

function statuses(frames) {
  return frames.map(({ status }) => status);
}

function outgoing(messageId, text, more = {}) {
  return { messageId, contentType: "text/plain", body: encoder.encode(text), ...more };
}

test("the first request is a SEND without a body; its 200 binds, and what waited goes out", () => {
  const { end, take, respond, told } = endpoint({ bound: false });
  end.send(outgoing("a", "hi"), 0);
  end.opened(0);
  const [first, ...rest] = take();
  assert.equal(rest.length, 0);
  assert.equal(first.method, "SEND");
  assert.equal(first.body, null);
  assert.deepEqual(first.toPath, [THEIRS]);
  assert.deepEqual(first.fromPath, [OURS]);
  assert.match(first.headers.get("message-id"), /^[a-z][a-z2-7]{15,}$/);
  respond(first);
  assert.deepEqual(told, ["bound"]);
  assert.equal(decoder.decode(take()[0].body), "hi");
});

test("a refused or unanswered first request breaks the session", () => {
  const refused = endpoint({ bound: false });
  refused.end.opened(0);
  refused.respond(refused.take()[0], 481);
  assert.deepEqual(refused.told, [["broken", 481]]);
  const silent = endpoint({ bound: false });
  silent.end.send(outgoing("a", "hi"), 0);
  silent.end.opened(5);
  assert.equal(silent.end.deadline(), 30005);
  silent.end.tick(30005);
  assert.deepEqual(silent.told, [["failed", "a", 408], ["broken", 408]]);
});

test("a short message is one chunk; its 200 is its success", () => {
  const { end, take, respond, told } = endpoint();
  end.send(outgoing("a", "hello over the wall"), 0);
  const [chunk] = take();
  assert.equal(chunk.headers.get("byte-range"), "1-19/19");
  assert.equal(chunk.headers.get("message-id"), "a");
  assert.equal(chunk.flag, "$");
  assert.deepEqual(told, []);
  respond(chunk);
  assert.deepEqual(told, [["sent", "a"]]);
  respond(chunk);
  assert.deepEqual(told, [["sent", "a"]], "a second answer counts for nothing");
});

test("an empty message has the range 1-0/0", () => {
  const { end, take, respond, told } = endpoint();
  end.send(outgoing("a", ""), 0);
  const [chunk] = take();
  assert.equal(chunk.headers.get("byte-range"), "1-0/0");
  assert.equal(chunk.body.length, 0);
  respond(chunk);
  assert.deepEqual(told, [["sent", "a"]]);
});

test("a long message goes in chunks of 2048 octets within the window", () => {
  const { end, take, respond, told } = endpoint({ window: 2 });
  const text = "x".repeat(5000);
  end.send(outgoing("a", text), 0);
  end.send(outgoing("b", "next"), 0);
  const sent = [];
  for (let batch = take(); batch.length > 0; batch = take()) {
    assert.ok(batch.length <= 2);
    for (const chunk of batch) {
      sent.push([chunk.headers.get("message-id"), chunk.headers.get("byte-range"), chunk.flag]);
      respond(chunk);
    }
  }
  assert.deepEqual(sent, [
    ["a", "1-2048/5000", "+"], ["a", "2049-4096/5000", "+"], ["a", "4097-5000/5000", "$"],
    ["b", "1-4/4", "$"],
  ]);
  assert.deepEqual(told, [["sent", "a"], ["sent", "b"]]);
});

test("a message counts as sent only when all its chunks are answered", () => {
  const { end, take, respond, told } = endpoint();
  end.send(outgoing("a", "x".repeat(3000)), 0);
  const [first, last] = take();
  respond(last);
  assert.deepEqual(told, []);
  respond(first);
  assert.deepEqual(told, [["sent", "a"]]);
});

test("an error ends its message once: the rest is given up with #, the next one goes on", () => {
  const { end, take, respond, told } = endpoint({ window: 1 });
  end.send(outgoing("a", "x".repeat(5000)), 0);
  end.send(outgoing("b", "next"), 0);
  respond(take()[0], 413);
  const [abort, next] = take();
  assert.deepEqual(told, [["failed", "a", 413]]);
  assert.equal(abort.flag, "#");
  assert.equal(abort.headers.get("byte-range"), "2049-2048/5000");
  assert.equal(abort.headers.get("failure-report"), "no");
  assert.equal(abort.fault, "");
  assert.equal(next.headers.get("message-id"), "b");
  respond(next);
  assert.deepEqual(told[1], ["sent", "b"]);
});

test("481 to a message breaks the session and fails all that is open", () => {
  const { end, take, respond, told } = endpoint();
  end.send(outgoing("a", "1"), 0);
  end.send(outgoing("b", "2"), 0);
  respond(take()[0], 481);
  assert.deepEqual(told, [["failed", "a", 481], ["failed", "b", 481], ["broken", 481]]);
  assert.equal(end.send(outgoing("c", "3"), 0), false);
});

test("no answer within 30 s fails the message with 408", () => {
  const { end, told, take, respond } = endpoint();
  end.send(outgoing("a", "1"), 1000);
  end.send(outgoing("b", "2"), 2000);
  const [late] = take();
  end.tick(30999);
  assert.deepEqual(told, []);
  assert.equal(end.deadline(), 31000);
  end.tick(31000);
  assert.deepEqual(told, [["failed", "a", 408]]);
  respond(late);
  assert.deepEqual(told, [["failed", "a", 408]], "a late answer changes nothing");
  assert.equal(end.deadline(), 32000);
});

test("rfc4975 10.4: what got lost on its way is sent again under its Message-ID, a few times", () => {
  const { end, told, take, respond } = endpoint({ chunkOctets: 2 });
  end.send(outgoing("a", "1234"), 0);
  end.send(outgoing("b", "5"), 0);
  const [first, second, other] = take();
  respond(second);
  respond(first, 408);
  assert.deepEqual(take().map(({ headers }) => [headers.get("message-id"), headers.get("byte-range")]),
    [["a", "1-2/4"], ["a", "3-4/4"]]);
  respond(other);
  assert.deepEqual(told, [["sent", "b"]]);
  end.send(outgoing("c", "6"), 1000);
  for (let sendings = 0; sendings < 5; sendings += 1) {
    assert.deepEqual(told.length, 1);
    respond(take().at(-1), 408, 2000);
  }
  assert.deepEqual(told.at(-1), ["failed", "c", 408]);
  end.send(outgoing("d", "7"), 3000);
  respond(take()[0], 408, 33_000);
  assert.deepEqual(told.at(-1), ["failed", "d", 408], "its time is over");
});

test("where a success report was asked, it decides", () => {
  const { end, take, respond, told, receive } = endpoint();
  end.send(outgoing("a", "12345", { successReport: true }), 0);
  const [chunk] = take();
  assert.equal(chunk.headers.get("success-report"), "yes");
  respond(chunk);
  assert.deepEqual(told, []);
  const report = (range, status) => incoming(null, {
    id: "a", range, method: "REPORT", more: `Status: ${status}\r\n`,
  });
  receive(report("1-3/5", "000 200 OK"));
  receive(report("1-5/5", "001 200 OK"));
  assert.deepEqual(told, []);
  receive(report("1-5/5", "000 200 OK"));
  assert.deepEqual(told, [["sent", "a"]]);
  assert.deepEqual(take(), [], "a report is never answered");
});

test("a failure report fails a message that is open, and no other", () => {
  const { end, take, respond, told, receive } = endpoint({ window: 1 });
  end.send(outgoing("a", "x".repeat(3000)), 0);
  respond(take()[0]);
  receive(incoming(null, { id: "zzz", method: "REPORT", more: "Status: 000 481 x\r\n" }));
  receive(incoming(null, {
    id: "a", range: "1-2048/3000", method: "REPORT", more: "Status: 000 481 Far leg lost\r\n",
  }));
  assert.deepEqual(told, [["failed", "a", 481]]);
});

test("a message in one chunk is delivered and answered", () => {
  const { receive, take, told } = endpoint();
  receive(incoming("hello", { range: "1-5/5" }));
  assert.deepEqual(told, [["message", "M1", "text/plain", "hello"]]);
  const [answer] = take();
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.toPath, [THEIRS]);
  assert.deepEqual(answer.fromPath, [OURS]);
});

test("rfc4975 figure 2: a range that counts the line break does no harm", () => {
  const { receive, told } = endpoint();
  receive(incoming("Hey Bob, are you there?", { range: "1-25/25" }));
  assert.equal(told.length, 1);
});

test("chunks are put together in any order", () => {
  const chunks = [["abc", "1-3/9", "+"], ["def", "4-6/9", "+"], ["ghi", "7-9/9", "$"]];
  for (const order of [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]) {
    const { receive, take, told } = endpoint();
    for (const at of order) {
      const [body, range, flag] = chunks[at];
      receive(incoming(body, { range, flag }));
    }
    assert.deepEqual(told, [["message", "M1", "text/plain", "abcdefghi"]], order.join());
    assert.deepEqual(statuses(take()), [200, 200, 200]);
  }
});

test("overlapping chunks: the last one received counts", () => {
  const { receive, told } = endpoint();
  receive(incoming("aaaa", { range: "1-4/6", flag: "+" }));
  receive(incoming("bbbb", { range: "3-6/6" }));
  assert.deepEqual(told, [["message", "M1", "text/plain", "aabbbb"]]);
});

test("unknown ends and totals, and a chunk cut short, go by what really came", () => {
  const { receive, told } = endpoint();
  receive(incoming("abc", { range: "1-*/*", flag: "+" }));
  receive(incoming("de", { range: "4-99/*" }));
  assert.deepEqual(told, [["message", "M1", "text/plain", "abcde"]]);
});

test("two messages at once do not mix; a repeated one is answered and not delivered", () => {
  const { receive, take, told } = endpoint();
  receive(incoming("ab", { id: "M1", range: "1-2/4", flag: "+" }));
  receive(incoming("xy", { id: "M2", range: "1-2/4", flag: "+" }));
  receive(incoming("cd", { id: "M1", range: "3-4/4" }));
  receive(incoming("zz", { id: "M2", range: "3-4/4" }));
  receive(incoming("cd", { id: "M1", range: "3-4/4" }));
  assert.deepEqual(told.map(([, id, , text]) => [id, text]), [["M1", "abcd"], ["M2", "xyzz"]]);
  assert.deepEqual(statuses(take()), [200, 200, 200, 200, 200]);
});

test("# forgets what came of a message", () => {
  const { receive, take, told } = endpoint();
  receive(incoming("ab", { range: "1-2/4", flag: "+" }));
  receive(incoming("", { range: "3-2/4", flag: "#" }));
  receive(incoming("cd", { range: "3-4/4" }));
  assert.deepEqual(told, []);
  assert.deepEqual(statuses(take()), [200, 200, 200]);
});

test("a message over the limit is refused with 413, announced or not", () => {
  const { receive, take, told } = endpoint({ octetsMax: 10 });
  receive(incoming("abc", { id: "A", range: "1-3/11", flag: "+" }));
  receive(incoming("abcdefghijk", { id: "B" }));
  receive(incoming("abcdef", { id: "C", range: "1-*/*", flag: "+" }));
  receive(incoming("abcdef", { id: "C", range: "7-*/*" }));
  assert.deepEqual(statuses(take()), [413, 413, 200, 413]);
  assert.deepEqual(told, []);
});

test("incomplete messages are bounded in number and in time", () => {
  const { end, receive, take } = endpoint();
  for (let at = 0; at < 17; at += 1) {
    receive(incoming("ab", { id: `M${at}`, range: "1-2/4", flag: "+" }), at);
  }
  assert.deepEqual(statuses(take()).slice(-2), [200, 413]);
  assert.equal(end.deadline(), 120_000);
  end.tick(200_000);
  assert.equal(end.deadline(), null);
});

test("other types are refused with 415; the application may refuse too", () => {
  const { receive, take, told, refuseWith } = endpoint();
  receive(incoming("x", { type: "image/png" }));
  receive(incoming("x", { type: "TEXT/Plain; charset=utf-8" }));
  refuseWith(415);
  receive(incoming("x", { id: "M2" }));
  receive(incoming("x", { id: "M2" }));
  assert.deepEqual(statuses(take()), [415, 200, 415, 415]);
  assert.equal(told.length, 3);
});

test("wrong paths are refused with 481", () => {
  const { receive, take, told } = endpoint();
  receive(incoming("x", { to: OURS.replace("own", "OWN") }));
  receive(incoming("x", { to: `${OURS} ${OURS}` }));
  receive(incoming("x", { from: THEIRS.replace("Ab3d", "other") }));
  assert.deepEqual(statuses(take()), [481, 481, 481]);
  assert.deepEqual(told, []);
});

test("a SEND without a body is answered and not delivered; unknown methods get 501", () => {
  const { receive, take, told } = endpoint();
  receive(incoming(null));
  receive(incoming(null, { method: "NICKNAME" }));
  assert.deepEqual(statuses(take()), [200, 501]);
  assert.deepEqual(told, []);
});

test("what cannot be understood is refused with 400; five such end the session", () => {
  const { receive, take, told } = endpoint();
  receive(incoming("x", { range: "0-1/1" }));
  receive(incoming("x", { id: "" }));
  const faulty = () => incoming("x", { more: "no colon\r\n" });
  receive(faulty());
  assert.deepEqual(statuses(take()), [400, 400, 400]);
  for (let at = 0; at < 4; at += 1) receive(faulty());
  assert.deepEqual(told, [["broken", 400]]);
});

test("a stream that is no MSRP breaks the session", () => {
  const { receive, told } = endpoint();
  receive("HELLO\r\n");
  assert.deepEqual(told, [["broken", 400]]);
});

test("Failure-Report: no silences all answers, partial the good ones", () => {
  const { receive, take } = endpoint();
  for (const value of ["no", "partial", "NO"]) {
    receive(incoming("x", { id: value, more: `Failure-Report: ${value}\r\n` }));
    receive(incoming("x", { id: value, type: "image/png", more: `Failure-Report: ${value}\r\n` }));
  }
  assert.deepEqual(statuses(take()), [415]);
});

test("a success report that was asked for is sent for the whole message", () => {
  const { receive, take } = endpoint();
  const more = "Success-Report: yes\r\nFailure-Report: no\r\n";
  receive(incoming("abc", { range: "1-3/5", flag: "+", more }));
  assert.deepEqual(take(), []);
  receive(incoming("de", { range: "4-5/5", more }));
  const [report] = take();
  assert.equal(report.method, "REPORT");
  assert.equal(report.headers.get("message-id"), "M1");
  assert.equal(report.headers.get("byte-range"), "1-5/5");
  assert.equal(report.headers.get("status"), "000 200 OK");
  assert.deepEqual(report.toPath, [THEIRS]);
  assert.equal(report.body, null);
});

test("an id that would end the body early is not used", () => {
  const { end, take } = endpoint();
  let calls = 0;
  environment.randomOctets = (count) => {
    calls += 1;
    return new Uint8Array(count).fill(calls === 1 ? 0 : 1);
  };
  end.send(outgoing("m", `x\r\n-------${"a".repeat(20)}$\r\n`), 0);
  const [chunk] = take();
  assert.equal(chunk.tid, "b".repeat(20));
  assert.match(decoder.decode(chunk.body), /a{20}\$/);
});

test("closing fails what is open, once", () => {
  const { end, told } = endpoint({ window: 1 });
  end.send(outgoing("a", "x".repeat(3000)), 0);
  end.send(outgoing("b", "y"), 0);
  end.close(487, "over");
  end.close(487, "over");
  assert.deepEqual(told, [["failed", "a", 487], ["failed", "b", 487]]);
  assert.equal(end.deadline(), null);
});

const ELSEWHERE = "msrp://media.example.com:40002/N3w;ws";

/** The socket is lost and another one opened; returns the SEND that binds. */
function moves({ end, take }, now = 0) {
  take();
  end.lost();
  end.moved([ELSEWHERE]);
  end.opened(now);
  const [bind] = take();
  return bind;
}

test("over another socket the same messages go on: answers that were held count, the rest is sent again", () => {
  const all = endpoint({ chunkOctets: 4 });
  const { end, take, respond, told } = all;
  end.send(outgoing("a", "aa"), 0);
  end.send(outgoing("b", "bbbbb"), 0);
  const [a, b1] = take();
  const bind = moves(all);
  assert.deepEqual(bind.toPath, [ELSEWHERE]);
  end.send(outgoing("c", "cc"), 0);
  assert.deepEqual(take(), [], "not before it is bound");
  respond(a);
  respond(b1);
  respond(bind);
  const again = take();
  assert.deepEqual(again.map(({ headers }) => [headers.get("message-id"), headers.get("byte-range")]), [
    ["b", "1-4/5"], ["b", "5-5/5"], ["c", "1-2/2"],
  ]);
  again.forEach((frame) => respond(frame));
  assert.deepEqual(told, [["sent", "a"], "bound", ["sent", "b"], ["sent", "c"]]);
});

test("while the socket is away nothing is late, and a half frame is forgotten", () => {
  const all = endpoint();
  all.end.send(outgoing("a", "aa"), 0);
  all.receive("MSRP half SE");
  all.take();
  all.end.lost();
  all.end.tick(100_000);
  assert.equal(all.end.deadline(), null);
  const bind = moves(all, 100_000);
  assert.equal(all.end.deadline(), 130_000, "the binding may not take for ever");
  all.respond(bind, 200, 100_001);
  assert.equal(all.take().length, 1);
  all.receive(incoming("hello", { id: "M9", from: ELSEWHERE }));
  all.receive(incoming("hello", { id: "M9", from: ELSEWHERE }));
  assert.deepEqual(all.told, ["bound", ["message", "M9", "text/plain", "hello"]]);
});
