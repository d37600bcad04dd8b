import assert from "node:assert/strict";
import { test } from "node:test";
import { fileLines, readFileLines } from "../src/file-sdp.js";
import { accepted, files, fromServer, listen, offered, bound, sdp, sending, SELECTOR, SHA_1, settle, signal, world } from "./file-world.js";
import { answerTo } from "../src/sdp.js";

test("rfc5547 6: names are encoded, and what came cannot leave its folder", () => {
  const file = {
    id: "t1", name: 'a"b%c/d\\e', type: "image/jpeg", size: 7, hashes: [{ algorithmName: "sha-1", value: "72:af" }],
    disposition: "attachment", description: "", dates: { modification: "Wed, 01 May 2024 09:30:00 +0000" },
  };
  assert.deepEqual(fileLines(file, true), [
    'a=file-selector:name:"a%22b%25c%2Fd%5Ce" type:image/jpeg size:7 hash:sha-1:72:AF',
    "a=file-transfer-id:t1", "a=file-disposition:attachment",
    'a=file-date:modification:"Wed, 01 May 2024 09:30:00 +0000"',
  ]);
  // An answer repeats name, type, size and id, and says no more: 8.3.1.
  assert.deepEqual(fileLines(file, false),
    ['a=file-selector:name:"a%22b%25c%2Fd%5Ce" type:image/jpeg size:7', "a=file-transfer-id:t1"]);
  const name = (text) => readFileLines([`a=file-selector:name:"${text}"`, "a=file-transfer-id:x"]).name;
  assert.deepEqual(["../../etc/passwd", "..%5C..%2fx", "..", "", "a%0d%0ab"].map(name), ["passwd", "x", "file", "file", "ab"]);
});

test("rfc5547 6: selectors stand in any order, and without an id it is no transfer", () => {
  const read = readFileLines([
    'a=file-selector:hash:sha-1:72:24 hash:sha-256:AB size:9 type:text/plain;charset="utf-8" name:"size:1 x"',
    "a=file-transfer-id:x", "i=a picture", "a=file-disposition:attachment",
  ]);
  assert.deepEqual([read.size, read.type, read.name, read.disposition, read.description, read.hashes.length],
    [9, 'text/plain;charset="utf-8"', "size:1 x", "attachment", "a picture", 2]);
  assert.equal(readFileLines(["a=file-selector:size:9"]), null);
  assert.equal(readFileLines(["a=file-selector", "a=file-transfer-id:x"]), null);
});

test("a file is offered, sent in chunks as it is read, and ended by its sender", async () => {
  const file = new File(["0123456789"], "note.txt", { type: "text/plain", lastModified: 0 });
  const { transfer, told, start, take, respond } = sending(file, { description: "my\r\nnote", disposition: "attachment" });
  const offer = start.payload.sdp;
  assert.match(offer, /m=message 9 TCP\/MSRP \*\r\ni=my note\r\n/);
  assert.match(offer, /a=sendonly\r\na=file-selector:name:"note.txt" type:text\/plain size:10\r\n/);
  assert.match(offer, /a=file-disposition:attachment\r\n/);
  const [{ fileTransferId, props }] = transfer.getFileConfigs();
  assert.deepEqual([props.fileTransferId, props.size, props.name], [fileTransferId, 10, "note.txt"]);
  await settle();
  const chunks = take();
  assert.deepEqual(chunks.map(({ headers, flag }) => [headers.get("byte-range"), flag]),
    [["1-4/10", "+"], ["5-8/10", "+"], ["9-10/10", "$"]]);
  for (const chunk of chunks) respond(chunk);
  world.tick();
  assert.deepEqual(told, [["progress", 4, 10], ["progress", 8, 10], ["progress", 10, 10], ["success", fileTransferId]]);
  assert.deepEqual(signal.take().map(({ header }) => header.action), ["shutdown"]);
});

test("an empty file is one chunk of nothing", async () => {
  const { told, take, respond } = sending(new Blob([]));
  const [chunk] = take();
  assert.deepEqual([chunk.headers.get("byte-range"), chunk.flag], ["1-0/0", "$"]);
  respond(chunk);
  world.tick();
  assert.deepEqual(told.map(([what]) => what), ["progress", "success"]);
});

/** Notes how many octets of a Blob are read at a time. An old browser's can't be read into a place. */
function watch(blob, sizes, isOld) {
  const { slice, stream } = { slice: blob.slice.bind(blob), stream: blob.stream.bind(blob) };
  blob.slice = (...range) => {
    const part = slice(...range);
    watch(part, sizes, isOld);
    return part;
  };
  blob.stream = () => {
    const from = stream();
    return {
      getReader: (options) => {
        if (isOld) throw new TypeError("not a stream of octets");
        const reader = from.getReader(options);
        return {
          cancel: () => reader.cancel(),
          read: async (place) => {
            const result = await reader.read(place);
            if (result.value?.length) sizes.push(result.value.length);
            return result;
          },
        };
      },
    };
  };
  const { arrayBuffer } = blob;
  blob.arrayBuffer = () => {
    sizes.push(blob.size);
    return arrayBuffer.call(blob);
  };
}

test("a large file is read a slice at a time", async () => {
  const content = Uint8Array.from({ length: 5 * 1024 * 1024 }, (_, at) => (at * 7919) >> 4);
  for (const isOld of [false, true]) {
    const blob = new Blob([content]);
    const sizes = [];
    watch(blob, sizes, isOld);
    const transfer = files.createFileTransfer("bob");
    transfer.start({ file: blob, props: { hashes: [] } });
    const { told, take, respond } = accepted(transfer);
    let at = 0;
    let most = 0;
    for (let turn = 0; turn < 2000 && at < content.length; turn += 1) {
      await settle();
      for (const frame of take()) {
        assert.deepEqual(frame.body, content.subarray(at, at + frame.body.length));
        at += frame.body.length;
        respond(frame);
      }
      most = Math.max(most, sizes.reduce((sum, size) => sum + size, 0) - at);
    }
    world.tick();
    assert.equal(told.at(-1)[0], "success");
    assert.ok(sizes.length >= 5 && Math.max(...sizes) <= 1024 * 1024, `${sizes}`);
    assert.ok(most <= 3 * 1024 * 1024, `${most} octets were read ahead`);
  }
});

test("what fails is told once: refused, declined, given up, cut off", async () => {
  const refused = sending(new Blob(["0123456789"]));
  await settle();
  refused.respond(refused.take()[0], 413);
  world.tick();
  assert.deepEqual(refused.told.map(([what, , status]) => [what, status]), [["failure", 413]]);

  const declined = files.createFileTransfer("bob");
  const told = listen(declined);
  declined.start({ file: new Blob(["x"]), props: { hashes: [] } });
  signal.take();
  fromServer("error", "start", declined.subSessionId, { header: { error_code: 603, reason: "Decline" } });
  assert.deepEqual(told.map(([what, , status]) => [what, status]), [["failure", 603]]);

  const aborted = sending(new Blob(["0123456789"]));
  await settle();
  aborted.take();
  aborted.transfer.abort();
  world.tick();
  assert.deepEqual(aborted.told.map(([what, , status]) => [what, status]), [["failure", 487]]);
  assert.throws(() => files.createFileTransfer("bob").start({}), TypeError);
  assert.throws(() => files.createFileTransfer("bob").start([]), /no file/);
});

test("a file comes in piece by piece, whatever comes twice", () => {
  let transfer;
  files.onFileTransfer = (one) => { transfer = one; };
  offered();
  const told = listen(transfer);
  const [{ props }] = transfer.getFileConfigs();
  assert.deepEqual([props.name, props.type, props.size, props.hashes], ["ach 1.jpg", "image/jpeg", 5,
    [{ algorithmName: "sha-1", value: SHA_1 }]]);
  transfer.accept();
  const answer = signal.take().at(-1).payload.sdp;
  assert.match(answer, /a=recvonly\r\na=file-selector:name:"ach 1.jpg" type:image\/jpeg size:5\r\na=file-transfer-id:t1\r\n$/);
  fromServer("message", "complete", "c3d1");
  const { chunk } = bound(answer);
  assert.deepEqual(chunk("ab", "1-2/5", "+"), [200]);
  assert.deepEqual(chunk("abc", "1-3/5", "+"), [200]);
  assert.deepEqual(chunk("de", "4-5/5", "$"), [200]);
  assert.deepEqual(chunk("de", "4-5/5", "$"), [200]);
  const text = (octets) => new TextDecoder().decode(octets);
  assert.deepEqual(told.map(([what, range, content]) => (content ? [what, range, text(content)] : [what, range])), [
    ["data", { start: 1, end: 2, total: 5 }, "ab"],
    ["data", { start: 3, end: 3, total: 5 }, "c"],
    ["data", { start: 4, end: 5, total: 5 }, "de"],
    ["success", "t1"],
  ]);
});

test("more, less or other than was announced is no success", () => {
  const ways = [
    [(chunk) => chunk("abcdef", "1-6/6", "$"), 413, null],
    [(chunk) => chunk("abc", "1-3/*", "$"), 413, 413],
    [(chunk) => chunk("de", "4-5/5", "$"), 400, null],
    [(chunk) => chunk("", "1-0/5", "#"), 200, 487],
    [(chunk) => { chunk("a", "1-1/5", "+"); return chunk("b", "1-1/5", "+", "f2"); }, 413, null],
  ];
  for (const [way, answered, failed] of ways) {
    let transfer;
    files.onFileTransfer = (one) => { transfer = one; };
    offered();
    const told = listen(transfer);
    transfer.accept();
    const answer = signal.take().at(-1).payload.sdp;
    fromServer("message", "complete", "c3d1");
    assert.deepEqual(way(bound(answer).chunk), [answered]);
    const failures = told.filter(([what]) => what === "failure").map(([, , status]) => status);
    assert.deepEqual(failures, failed === null ? [] : [failed]);
    if (failed === null) transfer.end();
    world.tick();
    signal.take();
  }
});

test("what offers no file, or wants one, is refused, and so is a file nobody waits for", () => {
  offered([]);
  assert.equal(signal.take().at(-1).header.error_code, 488);
  offered([SELECTOR, "a=file-transfer-id:t1"], "recvonly");
  assert.equal(signal.take().at(-1).header.error_code, 488);
  offered();
  assert.equal(signal.take().at(-1).header.error_code, 480);
});

test("the patent's names are heard where the API's are not set", () => {
  const transfer = files.createFileTransfer("bob");
  const config = { file: new Blob(["x"]), props: { dispositon: "attachment", hashes: [] } };
  transfer.start([config]);
  const told = [];
  transfer.onCallStateChange = ({ state }) => told.push(state);
  transfer.onFiieTransferFailure = (id, status) => told.push([id, status]);
  const [start] = signal.take();
  assert.match(start.payload.sdp, /a=file-disposition:attachment/);
  fromServer("error", "start", transfer.subSessionId, { header: { error_code: 486, reason: "Busy" } });
  assert.deepEqual(told, ["STARTED", "FAILED", [config.fileTransferId, 486]]);
});

test("rfc5547 8.3: of an offer of several files the first is answered, and the others refused by port 0", () => {
  const line = (name, port) => `m=message ${port} TCP/MSRP *\r\na=path:msrp://h:1/x;ws\r\na=file-selector:name:"${name}" size:5\r\n`
    + `a=file-transfer-id:${name}\r\n`;
  const head = "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 h\r\nt=0 0\r\n";
  const own = `${head}m=message 2855 TCP/MSRP *\r\na=recvonly\r\n`;
  assert.equal(answerTo(own, `${head}${line("one", 7)}`), own);
  assert.equal(
    answerTo(own, `${head}${line("one", 7)}${line("two", 0)}m=audio 0 RTP/AVP 8\r\n`),
    `${own}m=message 0 TCP/MSRP *\r\na=file-selector:name:"two" size:5\r\na=file-transfer-id:two\r\nm=audio 0 RTP/AVP 8\r\n`,
  );
});
