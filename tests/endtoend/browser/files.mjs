// A page that sends and takes files by the SDK, whole or after cuts.

/** Opens a page with a session of its own; `script` runs in it before the page's own. */
export async function filesPage(system, browser, name, script, argument) {
  const context = await browser.newContext();
  const page = await context.newPage();
  if (script) await page.addInitScript(script, argument);
  await page.goto(system.page);
  await page.evaluate(prepare, name);
  const evaluate = page.evaluate.bind(page);
  return {
    page,
    leave: async () => {
      await page.evaluate(() => globalThis.session.close());
      await context.close();
    },
    /** Begins to send a file of so many octets, made from a seed; gives its SHA-256 once it has begun. */
    send: (target, octets, seed) => evaluate((given) => globalThis.send(...given), [target, octets, seed]),
    want: (target, sha1) => evaluate((given) => { globalThis.want(...given); }, [target, sha1]),
    /** How the sending ended: `there` or why not, and how many transfers it took. */
    sent: () => evaluate(() => globalThis.sending),
    /** What has come of files so far. */
    told: () => evaluate(() => globalThis.told),
    hears: (line, timeout = 60_000) => page.waitForFunction(
      (wanted) => globalThis.told.some((one) => one.includes(wanted)), line, { timeout },
    ).catch(async () => { throw new Error(`not heard: ${line}\n${(await evaluate(() => globalThis.told)).join('\n')}`); }),
  };
}

/** In the page: `send`, `sending`, `want`, `told`. */
async function prepare(user) {
  const wsc = await import('/sdk/wsc.js');
  const session = new wsc.Session(user, `ws://${location.host}/ws/webrtc/demo`);
  const files = new wsc.FileTransferPackage(session);
  const told = [];
  const hex = (octets) => Array.from(new Uint8Array(octets), (octet) => octet.toString(16).padStart(2, '0')).join('');
  const hashed = async (blob) => hex(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));

  // Everything that comes, gathered across transfers; each octet must come once, in its place.
  const parts = new Map();
  const take = (transfer) => {
    const received = (transfer.resumes && parts.get(transfer.resumes)) || { octets: 0, blobs: [], transfers: 0 };
    parts.set(transfer, received);
    received.transfers += 1;
    const { props } = transfer.getFileConfigs()[0] ?? {};
    told.push(`transfer ${received.transfers} from ${props?.startOffset ?? 1}, resumed: ${transfer.resumes !== null}`);
    transfer.onFileData = ({ range, content }) => {
      if (range.start !== received.octets + 1) told.push(`out of place: ${range.start} after ${received.octets}`);
      received.octets = range.end;
      received.blobs.push(new Blob([content]));
    };
    transfer.onFileTransferSuccess = async () => {
      told.push(`received: ${await hashed(new Blob(received.blobs))} in ${received.transfers}`);
    };
    transfer.onFileTransferFailure = (id, status, reason) => told.push(`not received: ${status} ${reason}`);
    return transfer;
  };
  files.onFileTransfer = (transfer) => take(transfer).accept();
  /** Asks for the file of this SHA-1. */
  const want = (target, value) => {
    const transfer = take(files.createFileTransfer(target));
    transfer.start({ props: { direction: 'receive', hashes: [{ algorithmName: 'sha-1', value }] } });
  };
  let sent;
  files.onFileRequest = (transfer) => transfer.accept({ file: sent });

  /** @param {any} transfer how it ends, and the transfers of its rest */
  const ended = (transfer, count) => new Promise((resolve) => {
    transfer.onFileTransferSuccess = () => resolve({ how: 'there', transfers: count });
    transfer.onFileTransferFailure = (id, status, reason) => {
      if (count > 100) resolve({ how: `${status} ${reason}`, transfers: count });
      else setTimeout(() => resolve(ended(files.resume(transfer), count + 1)), 250);
    };
  });
  const send = async (target, octets, seed) => {
    const content = new Uint8Array(octets);
    let state = seed >>> 0 || 1;
    for (let at = 0; at < octets; at += 1) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      content[at] = state;
    }
    const file = new File([content], 'film 1.bin', { type: 'video/mp4' });
    sent = file;
    const transfer = files.createFileTransfer(target);
    transfer.start({ file });
    globalThis.sending = ended(transfer, 1);
    return hashed(file);
  };
  Object.assign(globalThis, { send, session, told, want });
  await session.connected;
}
