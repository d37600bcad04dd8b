// What a call says and reads, without a browser: configs, and the lines of candidates.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CallConfig, EVERYTHING, configOf, conflictOf, fitting, readCallConfig, receiving } from "../src/call-config.js";
import { readCandidates, writeCandidates } from "../src/candidates.js";
import { MEDIADIRECTION } from "../src/constants.js";

const { SENDRECV, SENDONLY, RECVONLY, NONE } = MEDIADIRECTION;
const SDP = [
  "v=0", "a=group:BUNDLE 0 1 2", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0", "a=sendonly",
  "m=video 0 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=bundle-only", "a=inactive",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:2", "",
].join("\r\n");

test("a config tells what it sends and takes", () => {
  const config = new CallConfig(SENDRECV, RECVONLY);
  assert.deepEqual(
    [config.hasAudio(), config.shouldSendAudio(), config.shouldReceiveAudio()], [true, true, true]);
  assert.deepEqual(
    [config.hasVideo(), config.shouldSendVideo(), config.shouldReceiveVideo()], [true, false, true]);
  assert.equal(readCallConfig({ videoConfig: SENDONLY }).audioConfig, NONE);
  assert.throws(() => readCallConfig({ audioConfig: "LOUD" }), /not a media direction/);
});

test("a description tells what the other side sends and takes", () => {
  const config = configOf(SDP);
  assert.deepEqual([config.audioConfig, config.videoConfig], [SENDONLY, NONE]);
  assert.deepEqual(config.dataChannelConfig, []);
  assert.equal(configOf("v=0\r\nm=audio 0 RTP/AVP 0\r\n").audioConfig, NONE, "refused");
  assert.equal(configOf("v=0\r\na=recvonly\r\nm=video 9 x 1\r\n").videoConfig, RECVONLY, "said for all");
  assert.equal(configOf("v=0\r\nm=video 9 x 1\r\n").videoConfig, SENDRECV, "said of none");
});

test("RFC 3264, 6.1: what may answer an offer", () => {
  const allowed = { [SENDRECV]: [SENDRECV, SENDONLY, RECVONLY, NONE], [SENDONLY]: [RECVONLY, NONE],
    [RECVONLY]: [SENDONLY, NONE], [NONE]: [NONE] };
  for (const [offered, answers] of Object.entries(allowed)) {
    for (const answer of Object.values(MEDIADIRECTION)) {
      const conflict = conflictOf(new CallConfig(offered), new CallConfig(answer));
      assert.equal(conflict === "", answers.includes(answer), `${answer} to ${offered}`);
      const fits = fitting(new CallConfig(offered), new CallConfig(answer));
      assert.equal(conflictOf(new CallConfig(offered), fits), "");
    }
  }
  assert.equal(fitting(new CallConfig(SENDONLY, NONE), EVERYTHING).audioConfig, RECVONLY);
  assert.equal(fitting(new CallConfig(SENDRECV, SENDRECV), receiving(new CallConfig(SENDRECV))).videoConfig, RECVONLY);
});

test("candidates are lines, each section's after its mid", () => {
  const found = [
    { candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host", sdpMid: "0" },
    { candidate: "candidate:2 1 udp 1 192.0.2.1 9 typ host", sdpMid: "1" },
    { candidate: "candidate:3 1 udp 1 192.0.2.1 9 typ host", sdpMid: "0" },
  ];
  const text = writeCandidates(found, true);
  assert.match(text, /^a=mid:0\r\na=candidate:1 .*\r\na=candidate:3 .*\r\na=end-of-candidates\r\na=mid:1\r\n/);
  assert.deepEqual(readCandidates(text), [found[0], found[2], found[1]]);
  assert.deepEqual(readCandidates("mid:0\ncandidate:9 x\n"), [{ candidate: "candidate:9 x", sdpMid: "0" }], "without a=");
  assert.deepEqual(readCandidates("a=candidate:1 x\r\n"), [], "of no section");
  assert.deepEqual([readCandidates(undefined), readCandidates("x".repeat(40_000))], [[], []]);
  assert.equal(writeCandidates([]), "");
});
