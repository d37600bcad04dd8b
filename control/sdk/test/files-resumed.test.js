// Parts of files: what is sent of one, and how the rest of one that was cut off comes after it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readFileLines } from "../src/file-sdp.js";
import { accepted, answered, bound, files, fromServer, listen, offered, SELECTOR, sending, settle, SHA_1, signal, taking, world } from "./file-world.js";

const text = (parts) => parts.map((octets) => new TextDecoder().decode(octets)).join("");
const ranges = (chunks) => chunks.map(({ headers, flag }) => `${headers.get("byte-range")} ${flag}`);
const idOf = (sdp) => /a=file-transfer-id:(\S+)/.exec(sdp)[1];

/** Lets a page be offered a file and gives the transfer. */
function incoming(lines, id) {
  let transfer;
  files.onFileTransfer = (one) => { transfer = one; };
  offered(lines, "sendonly", id);
  return transfer;
}

test("rfc5547 6: a range counts from 1, and what is none makes it no transfer", () => {
  const read = (range) => readFileLines([SELECTOR, "a=file-transfer-id:x", `a=file-range:${range}`])?.range;
  assert.deepEqual(["1-5", "3-*", "5-5"].map(read),
    [{ start: 1, stop: 5 }, { start: 3, stop: null }, { start: 5, stop: 5 }]);
  assert.deepEqual(["0-5", "5-4", "x", "-4", "3"].map(read), Array(5).fill(undefined));
});

test("rfc5547 6, 8.1: the rest is a new transfer with a new id, and Byte-Range counts in the part", async () => {
  const hashes = [{ algorithmName: "sha-1", value: "ab:cd" }];
  const file = new File(["0123456789"], "note.txt");
  const cut = sending(file, { hashes });
  await settle();
  const [first] = cut.take();
  cut.respond(first);
  cut.media.goes(1000);
  world.tick();
  assert.equal(cut.told.at(-1)[0], "failure");
  signal.take();

  const next = files.resume(cut.transfer);
  next.setChunkSize(4);
  const { start, take, told } = accepted(next);
  const offer = start.payload.sdp;
  assert.notEqual(idOf(offer), idOf(cut.start.payload.sdp));
  assert.match(offer, /size:10 hash:sha-1:AB:CD\r\n/, "the hash is that of the whole file, in upper case");
  assert.match(offer, /a=file-range:5-10\r\n/);
  await settle();
  const chunks = take();
  assert.deepEqual(ranges(chunks), ["1-6/6 $"]);
  assert.equal(text(chunks.map(({ body }) => body)), "456789");
  assert.deepEqual(told, []);
});

test("the rest is asked for again while the server turns it away, when that says and for a minute, and not once it was ended", async () => {
  for (const ends of ["accepted", "ended", "never"]) {
    const cut = sending(new File(["0123456789"], "note.txt"));
    await settle();
    cut.respond(cut.take()[0]);
    cut.media.goes(1000);
    world.tick();
    signal.take();
    const next = files.resume(cut.transfer);
    next.setChunkSize(10);
    const told = listen(next);
    const asked = () => signal.take().filter((frame) => frame.header?.action === "start");
    const refuse = (retry_after) => {
      const [start] = asked();
      fromServer("error", "start", next.subSessionId, {
        control: { correlation_id: start.control.correlation_id }, header: { error_code: 503, reason: "busy", retry_after },
      });
      return start;
    };
    const first = refuse(4);
    world.advance(5900);
    assert.deepEqual(asked(), [], "as long as it was told, and half as long again by chance");
    world.advance(200);
    if (ends === "ended") {
      refuse();
      next.end();
      world.advance(5000);
      assert.deepEqual(asked(), []);
    } else if (ends === "never") {
      world.now += 60_000;
      refuse(3);
      world.tick();
      assert.deepEqual(told.map(([what, , status]) => [what, status]), [["failure", 503]]);
    } else {
      const again = answered(next);
      assert.equal(again.payload.sdp, first.payload.sdp);
      assert.equal(again.control.subsession_id, first.control.subsession_id);
      const { take } = bound(again.payload.sdp);
      await settle();
      assert.deepEqual(ranges(take()), ["1-6/6 $"]);
    }
  }
});

test("an answer for another file, another part or in the same direction is no answer", () => {
  for (const [lines, direction] of [
    [['a=file-selector:name:"x"', "a=file-transfer-id:other"], "recvonly"],
    [[], "recvonly"],
    [undefined, "sendonly"],
  ]) {
    const transfer = files.createFileTransfer("bob");
    transfer.start({ file: new Blob(["0123456789"]), props: { hashes: [], startOffset: "3" } });
    answered(transfer, lines, direction);
    assert.equal(transfer.getState().state, "FAILED");
  }
});

test("the rest goes on where the page is, whatever its sender knew, and the hash is that of all of it", () => {
  const former = incoming();
  const first = taking(former);
  first.chunk("ab", "1-2/5", "+");
  first.chunk("c", "3-3/5", "+");
  first.media.goes(1006);
  const next = incoming([SELECTOR, "a=file-transfer-id:t2", "a=file-range:3-5"], "c3d2");
  assert.equal(next.resumes, former);
  assert.deepEqual(next.getFileConfigs()[0].props.startOffset, "3");
  const { chunk, told, answer } = taking(next, undefined, "c3d2");
  assert.match(answer, /a=file-transfer-id:t2\r\na=file-range:3-5\r\n/);
  assert.deepEqual(chunk("cde", "1-3/3", "$"), [200]);
  assert.deepEqual(told.map(([what, range]) => [what, range]),
    [["data", { start: 4, end: 5, total: 5 }], ["success", "t2"]]);
  assert.deepEqual(first.told.map(([what]) => what), ["data", "data"], "the former one was not called a failure");
});

test("a whole whose hash is another is a failure, and is not gone on with", () => {
  const former = incoming();
  assert.deepEqual(taking(former).chunk("abXde", "1-5/5", "$"), [400]);
  assert.equal(incoming([SELECTOR, "a=file-transfer-id:t2", "a=file-range:3-5"], "c3d2").resumes, null);
});

test("a part of a file of which nobody has seen the start is taken as it is", () => {
  const { chunk, told } = taking(incoming([SELECTOR, "a=file-transfer-id:t2", "a=file-range:3-4"]));
  assert.deepEqual(chunk("cd", "1-2/2", "$"), [200]);
  assert.deepEqual(told.map(([what, range]) => [what, range]),
    [["data", { start: 3, end: 4, total: 5 }], ["success", "t2"]]);
});

test("a chunk is answered once the stream has taken it, which is closed at the end and left open for the rest", async () => {
  const written = [];
  let closed = false;
  let admit;
  const sink = new WritableStream({
    write: (octets) => new Promise((resolve) => { written.push(octets.slice()); admit = resolve; }),
    close: () => { closed = true; },
  });
  const former = incoming();
  const { chunk, told, take, media } = taking(former, { sink });
  assert.deepEqual(chunk("ab", "1-2/5", "+"), []);
  await settle();
  assert.deepEqual(take(), []);
  admit();
  await settle();
  assert.deepEqual(take().map(({ status }) => status), [200]);
  media.goes(1006);

  const next = incoming([SELECTOR, "a=file-transfer-id:t2", "a=file-range:3-5"], "c3d2");
  const rest = taking(next, undefined, "c3d2");
  rest.chunk("cde", "1-3/3", "$");
  await settle();
  assert.equal(closed, false);
  admit();
  await settle();
  assert.ok(closed);
  assert.equal(text(written), "abcde");
  assert.deepEqual(rest.told, [["progress", 5, 5], ["success", "t2"]]);
  assert.deepEqual(told.map(([what]) => what), ["progress"]);
});

test("rfc5547 8.2.2: a file is asked for by its hash, and comes with what its owner says of it", () => {
  const transfer = files.createFileTransfer("bob");
  transfer.start({ props: { direction: "receive", hashes: [{ algorithmName: "sha-1", value: SHA_1.toLowerCase() }] } });
  const [{ fileTransferId }] = transfer.getFileConfigs();
  const { start, chunk, told } = accepted(transfer, [SELECTOR, `a=file-transfer-id:${fileTransferId}`], "sendonly");
  assert.match(start.payload.sdp, new RegExp(
    `a=recvonly\r\na=file-selector:hash:sha-1:${SHA_1}\r\na=file-transfer-id:${fileTransferId}\r\n$`));
  assert.deepEqual(chunk("abcde", "1-5/5", "$"), [200]);
  assert.deepEqual(told.map(([what]) => what), ["data", "success"]);
  assert.throws(() => files.createFileTransfer("bob").start({ props: { direction: "receive" } }), /by its hashes/);
});

test("rfc5547 8.3.2: who wants a file gets it, and what is another one is refused", async () => {
  let transfer;
  files.onFileRequest = (one) => { transfer = one; };
  const ask = (id) => {
    offered([`a=file-selector:hash:sha-1:${SHA_1}`, "a=file-transfer-id:w1"], "recvonly", id);
    signal.take();
    assert.equal(transfer.getFileConfigs()[0].props.direction, "receive");
  };
  ask("w1");
  assert.throws(() => transfer.accept(), TypeError);
  transfer.accept({ file: new File(["abcde"], "a.txt") });
  await settle();
  const answer = signal.take().at(-1).payload.sdp;
  assert.match(answer, /a=sendonly\r\na=file-selector:name:"a.txt" size:5 hash:sha-1:03:DE.*\r\na=file-transfer-id:w1\r\n/);
  fromServer("message", "complete", "w1");
  const { take } = bound(answer);
  await settle();
  assert.deepEqual(ranges(take()), ["1-5/5 $"]);

  ask("w2");
  transfer.accept({ file: new Blob(["other"]) });
  await settle();
  assert.equal(signal.take().at(-1).header.error_code, 488);
});

test("the rest of a file that came in is asked for", () => {
  const former = incoming();
  taking(former).chunk("ab", "1-2/5", "+");
  former.end();
  signal.take();
  const next = files.resume(former);
  const { start, chunk, told } = accepted(next, undefined, "sendonly");
  assert.match(start.payload.sdp, /a=recvonly\r\na=file-selector:.*hash:sha-1:03:DE.*\r\n.*\r\na=file-range:3-\*\r\n/);
  assert.deepEqual(chunk("cde", "1-3/3", "$"), [200]);
  assert.deepEqual(told.map(([what, range]) => [what, range])[0], ["data", { start: 3, end: 5, total: 5 }]);
});

test("hashes are computed before a file is offered, and not for one that is given up", async () => {
  const transfer = files.createFileTransfer("bob");
  transfer.start({ file: new File(["abcde"], "a.txt") });
  assert.deepEqual(signal.take(), []);
  assert.throws(() => transfer.start({ file: new Blob(["x"]) }), /started already/);
  const dropped = files.createFileTransfer("bob");
  const told = [];
  dropped.start({ file: new Blob(["x"]) });
  dropped.onFileTransferFailure = (id, status) => told.push(status);
  dropped.abort();
  await settle();
  const frames = signal.take();
  assert.equal(frames.length, 1);
  assert.match(frames[0].payload.sdp, new RegExp(`hash:sha-1:${SHA_1} hash:sha-256:36:BB:`));
  assert.deepEqual(told, [487]);
});

test("a file larger than the page takes is declined, as handsets say it, and a network's words are passed on", () => {
  files.maxFileSize = 4;
  assert.equal(incoming(), undefined);
  const { header } = signal.take().at(-1);
  assert.deepEqual([header.error_code, header.warning], [403, '399 browser "133 Size exceeded"']);
  const transfer = files.createFileTransfer("bob");
  const told = [];
  transfer.onFileTransferFailure = (id, status, reason) => told.push(status, reason);
  transfer.start({ file: new Blob(["x"]), props: { hashes: [] } });
  fromServer("error", "start", transfer.subSessionId, { header: { error_code: 403, reason: "Forbidden", warning: '399 x "133 Size exceeded"' } });
  assert.deepEqual(told, [403, "133 Size exceeded"]);
});
