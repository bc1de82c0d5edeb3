// SPDX-License-Identifier: MIT
// net.js - The server: the stream of messages, actions, the recording.
// The token is in the fragment of the page's address.

const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
const headers = { "Ferry-Token": token };

async function failure(answer) {
  try {
    return (await answer.json()).error || answer.statusText;
  } catch {
    return `${answer.status} ${answer.statusText}`;
  }
}

async function read(path) {
  const answer = await fetch(path, { headers });
  if (!answer.ok) throw new Error(await failure(answer));
  return answer;
}

export async function act(action) {
  const answer = await fetch("api/act", { method: "POST", headers,
                                          body: JSON.stringify(action) });
  if (!answer.ok) throw new Error(await failure(answer));
  return answer.json();
}

export async function pages(id, query) {
  const text = new URLSearchParams({ id, ...query });
  return (await read(`api/pages?${text}`)).json();
}

export async function recording() {
  return (await read("api/recording")).text();
}

async function follow(onMessage, onOpen) {
  const answer = await read("api/stream");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  onOpen();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts)
      if (part.startsWith("data: ")) onMessage(JSON.parse(part.slice(6)));
  }
}

// Calls back for each message; connects again when the connection is lost
export async function stream(onMessage, onOpen, onLost) {
  for (;;) {
    let why = "the server has closed the connection";
    try {
      await follow(onMessage, onOpen);
    } catch (e) {
      why = e.message;
    }
    if (onLost(why) === false) return;
    await new Promise((done) => setTimeout(done, 1000));
  }
}
