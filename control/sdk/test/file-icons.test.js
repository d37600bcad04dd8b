import assert from "node:assert/strict";
import { test } from "node:test";
import { fileLines, readFileLines } from "../src/file-sdp.js";
import { accepted, bound, files, fromServer, listen, offered, sdp, SELECTOR, settle, signal, world } from "./file-world.js";

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0xff]);
const URL_OF_PNG = "data:image/png;base64,iVBOR/8=";
const picture = (octets = PNG, type = "image/png") => new Blob([octets], { type });

/** Offers a file with this icon; gives the frames that go out once it is read. */
async function offers(icon, props = {}) {
  const transfer = files.createFileTransfer("bob");
  transfer.start({ file: new Blob(["0123456789"], { type: "image/jpeg" }), props: { hashes: [], ...props, icon } });
  await settle();
  return { transfer, frames: signal.take() };
}

test("rfc5547 6: a description names the icon by the Content-ID of another part", () => {
  const file = { id: "t1", name: "a", type: "", size: 1, hashes: [], disposition: "render", description: "", dates: {}, range: null };
  assert.deepEqual(fileLines({ ...file, icon: "i1@h" }, true).slice(-1), ["a=file-icon:cid:i1@h"]);
  // Whoever takes the file does not repeat it: 8.3.1.
  assert.doesNotMatch(fileLines({ ...file, icon: "i1@h" }, false).join("\n"), /icon/);
  const read = (line) => readFileLines(['a=file-selector:name:"a"', "a=file-transfer-id:t1", line]).icon;
  assert.deepEqual(["a=file-icon:CID:i1@h", "a=file-icon:http://h/x", "a=file-disposition:render"].map(read), ["i1@h", "", ""]);
});

test("an icon goes along with the offer, whether it is a Blob or a data: URL", async () => {
  for (const icon of [picture(), URL_OF_PNG]) {
    const { transfer, frames: [start] } = await offers(icon);
    assert.deepEqual(start.payload.icon, { content_type: "image/png", content: "iVBOR/8=" });
    assert.match(start.payload.sdp, /\r\na=file-icon:cid:[\w-]+@wsc\.invalid\r\n/);
    assert.equal(transfer.getFileConfigs()[0].props.icon, icon);
    transfer.end();
    signal.take();
  }
});

test("RFC 3261, 21.4.13: who takes no icon is offered the file without, in the same transfer", async () => {
  for (const code of [413, 415, 513]) {
    const { transfer, frames: [start] } = await offers(picture());
    const told = listen(transfer);
    const refuse = (frame) => fromServer("error", "start", transfer.subSessionId, {
      control: { correlation_id: frame.control.correlation_id }, header: { error_code: code, reason: "No" },
    });
    refuse(start);
    const [again, ...others] = signal.take();
    assert.deepEqual([again.header.action, again.control.subsession_id, others.length], ["start", transfer.subSessionId, 0]);
    assert.notEqual(again.control.correlation_id, start.control.correlation_id);
    assert.equal(again.payload.icon, undefined);
    assert.equal(again.payload.sdp, start.payload.sdp.replace(/a=file-icon:.*\r\n/, ""));
    assert.deepEqual(told, []);
    // But once.
    refuse(again);
    assert.deepEqual(told.map(([what, , status]) => [what, status]), [["failure", code]]);
    assert.deepEqual(signal.take(), []);
  }
});

test("a file that was offered again without its icon is transferred as any other", async () => {
  const { transfer, frames: [start] } = await offers(picture());
  fromServer("error", "start", transfer.subSessionId, {
    control: { correlation_id: start.control.correlation_id }, header: { error_code: 415 },
  });
  const { told, take, respond } = accepted(transfer);
  await settle();
  for (const chunk of take()) respond(chunk);
  world.tick();
  assert.equal(told.at(-1)[0], "success");
});

test("what can't be an icon is said at once, and a cid: URL alone is none", async () => {
  const start = (icon) => files.createFileTransfer("bob").start({ file: new Blob(["x"]), props: { hashes: [], icon } });
  const wrong = [
    picture(PNG, "image/svg+xml"), picture(PNG, ""), picture(new Uint8Array(0)), picture(new Uint8Array(10 * 1024 + 1)),
    "data:text/html;base64,AAAA", "data:image/png,x", `data:image/png;base64,${"A".repeat(14_000)}`, 7,
  ];
  for (const icon of wrong) assert.throws(() => start(icon), /wsc: an icon/, String(icon).slice(0, 40));
  assert.deepEqual(signal.take(), []);
  const { frames: [bare] } = await offers("cid:i1@h");
  assert.deepEqual([bare.payload.icon, /file-icon/.test(bare.payload.sdp)], [undefined, false]);
});

test("an icon that can't be read is a failure, and one that is ended meanwhile is not offered", async () => {
  const unreadable = picture();
  unreadable.arrayBuffer = () => Promise.reject(new Error("gone"));
  const transfer = files.createFileTransfer("bob");
  const told = listen(transfer);
  transfer.start({ file: new Blob(["x"]), props: { hashes: [], icon: unreadable } });
  await settle();
  assert.deepEqual(told.map(([what, , status]) => [what, status]), [["failure", 400]]);
  const ended = files.createFileTransfer("bob");
  ended.start({ file: new Blob(["x"]), props: { hashes: [], icon: picture() } });
  ended.end();
  await settle();
  assert.deepEqual(signal.take(), []);
});

test("the icon of a file that is offered is there before it is accepted, if it may be shown", () => {
  const props = (icon, lines = ["a=file-icon:cid:i1@h"]) => {
    let transfer;
    files.onFileTransfer = (one) => { transfer = one; };
    offered([SELECTOR, "a=file-transfer-id:t1", ...lines], "sendonly", undefined, { icon });
    const [config] = transfer.getFileConfigs();
    transfer.decline();
    return config.props.icon;
  };
  assert.equal(props({ content_type: "image/png", content: "iVBOR/8=" }), URL_OF_PNG);
  assert.equal(props({ content_type: "image/svg+xml", content: "iVBOR/8=" }), undefined);
  assert.equal(props({ content_type: 'image/png" onerror="x', content: "iVBOR/8=" }), undefined);
  assert.equal(props({ content_type: "image/png", content: "A".repeat(14_000) }), undefined);
  assert.equal(props({ content_type: "image/png", content: "iVBOR/8=" }, []), undefined);
  assert.equal(props("x"), undefined);
});

test("the rest of a file has the icon of the whole", async () => {
  const { transfer } = await offers(picture());
  fromServer("error", "start", transfer.subSessionId, { header: { error_code: 408 } });
  const rest = files.resume(transfer);
  await settle();
  assert.equal(signal.take().at(-1).payload.icon.content, "iVBOR/8=");
  rest.end();
});
