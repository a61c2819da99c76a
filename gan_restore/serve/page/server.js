// Requests to the server. Each error is one sentence for the user.

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Does it still run?");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = `The server answers with status ${answer.status}.`;
  try {
    message = JSON.parse(text).error ?? message;
  } catch { /* not from the application: the status says enough */ }
  throw new Error(message);
}

export const models = async () => (await ask("api/models")).json();

/** The photo as PNG, for formats that the browser cannot show. */
export async function preview(file) {
  const form = new FormData();
  form.append("photo", file);
  return (await ask("api/preview", { method: "POST", body: form })).blob();
}

/** Which models the photo needs, and why: [{ model, use, reason }]. With sameSize, none that enlarges. */
export async function advise(file, sameSize) {
  const form = new FormData();
  form.append("photo", file);
  form.append("same_size", sameSize);
  return (await (await ask("api/advice", { method: "POST", body: form })).json()).advice;
}

/** Restore: `told` is called with each state of the job; `signal` cancels it. Returns the last state and the file. */
export async function restore(form, told, signal) {
  let job = await (await ask("api/jobs", { method: "POST", body: form, signal })).json();
  const path = `api/jobs/${job.id}`;
  const drop = () => fetch(path, { method: "DELETE", keepalive: true }).catch(() => {});
  addEventListener("pagehide", drop);
  try {
    while (["waiting", "running"].includes(job.state)) {
      told(job);
      await pause(300, signal);
      job = await (await ask(path, { signal })).json();
    }
    const blob = await (await ask(`${path}/result`, { signal })).blob();  // of a failed job: its error
    return { job, blob };
  } finally {
    removeEventListener("pagehide", drop);
    drop();  // the server need not keep it
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    setTimeout(resolve, milliseconds);
  });
}
