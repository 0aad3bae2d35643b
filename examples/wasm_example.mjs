// Recommendations in JavaScript, no server needed: node wasm_example.mjs dmran.wasm MODEL ITEM ITEM ...
// In a browser, fetch both files instead of reading them; the rest is the same.
import { readFileSync } from "node:fs";

const [library, modelFile, ...history] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(library), {});
const { memory, ...dmran } = instance.exports;

/** Room for `length` bytes in the module's memory: new pages, which its own allocator never touches. */
let free = 0, end = 0;
function room(length) {
    length = Math.ceil(length / 16) * 16;
    if (free + length > end) {
        const pages = Math.ceil(length / 65536);
        free = memory.grow(pages) * 65536;
        end = free + pages * 65536;
    }
    return (free += length) - length;
}
const view = () => new DataView(memory.buffer);
const put = (bytes) => {
    const at = room(bytes.length);
    new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    return at;
};
const text = (at) => {
    const bytes = new Uint8Array(memory.buffer, at);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
};
const check = (status) => {
    if (status !== 0) throw new Error(text(dmran.dmran_last_error()));
};

const model = readFileSync(modelFile);
const [scorer, user, found, item] = [room(4), room(4), room(4), room(4)];
check(dmran.dmran_scorer_from_bytes(put(model), model.length, scorer));
check(dmran.dmran_user_new(view().getUint32(scorer, true), user));
const [s, u] = [scorer, user].map((at) => view().getUint32(at, true));

const now = BigInt(Math.floor(Date.now() / 1000));
const events = room(16 * history.length); // dmran_event: the item at 0, the time at 8
for (const [i, id] of history.entries()) {
    check(dmran.dmran_scorer_find(s, put(new TextEncoder().encode(id + "\0")), item));
    view().setUint32(events + 16 * i, view().getUint32(item, true), true);
    view().setBigInt64(events + 16 * i + 8, now, true);
}
check(dmran.dmran_user_encode(u, events, history.length, now, 0));

const k = 5;
const [items, scores, name] = [room(4 * k), room(4 * k), room(256)];
check(dmran.dmran_user_top_k(u, k, 0, 0, items, scores, found));
for (let i = 0; i < view().getUint32(found, true); i++) {
    check(dmran.dmran_scorer_item_id(s, view().getUint32(items + 4 * i, true), name, 256, 0));
    console.log(text(name), view().getFloat32(scores + 4 * i, true).toPrecision(9));
}
