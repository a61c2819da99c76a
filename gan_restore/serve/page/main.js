// The page: it takes a photo, asks the server to restore it, and shows the result.

import { Mask } from "./mask.js";
import * as server from "./server.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const form = $("order");
const mask = new Mask($("mask"));
const stage = new Stage((from, to) => mask.stroke(from, to, stage.brush, pressed($("erase"))));

let limits = { megapixels: Infinity, bytes: Infinity };
let factors = {};
let photo = null;  // { file, width, height }
let result = null;  // { file }
let running = null;  // an AbortController while a photo is restored
let taken = 0;  // number of photos that were chosen

const pressed = (button) => button.getAttribute("aria-pressed") === "true";
const size = ({ width, height }) => `${width.toLocaleString()} × ${height.toLocaleString()} pixels`;
const stem = (name) => name.replace(/\.[^.]*$/, "") || "photo";

/** Run what a user asked for; an error is shown below the form. */
async function attempt(act) {
  $("error").textContent = "";
  try {
    await act();
  } catch (error) {
    if (error.name === "AbortError") return;
    $("error").textContent = error.message;
    $("error").scrollIntoView({ block: "nearest" });
  }
}

/** The address of an image that the browser can show, and its size. The server converts formats it cannot. */
async function shown(file) {
  const image = new Image();
  const load = async (blob) => {
    image.src = URL.createObjectURL(blob);
    await image.decode();
  };
  try {
    await load(file);
  } catch {
    URL.revokeObjectURL(image.src);
    await load(await server.preview(file));
  }
  return { url: image.src, width: image.naturalWidth, height: image.naturalHeight };
}

async function take(file) {
  running?.abort();
  const number = ++taken;
  if (file.size > limits.bytes) {
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    throw new Error(`${file.name} has ${megabytes(file.size)}. The server takes at most ${megabytes(limits.bytes)}.`);
  }
  $("status").textContent = "Opening the photo …";
  const { url, width, height } = await shown(file).finally(() => { $("status").textContent = ""; });
  if (number !== taken) return URL.revokeObjectURL(url);
  $("view").hidden = false;
  forget();
  URL.revokeObjectURL($("before").src);
  photo = { file, width, height };
  $("advice").replaceChildren();
  mask.reset(width, height);
  paint(false);
  setBrush();
  stage.show(url, width, height);
  describe();
}

/** Remove the result and what was said about it. */
function forget() {
  URL.revokeObjectURL($("after").src);
  $("after").removeAttribute("src");
  URL.revokeObjectURL($("download").href);
  result = null;
  $("results").hidden = true;
  $("warnings").replaceChildren();
  $("status").textContent = "";
}

/** Say what is chosen. */
function describe() {
  $("advise").disabled = !photo || Boolean(running);
  $("restore").disabled = !photo || Boolean(running);
  if (!photo) return;
  const factor = chosen().reduce((product, name) => product * factors[name], 1);
  const larger = factor > 1 ? `; the result: ${size({ width: factor * photo.width, height: factor * photo.height })}` : "";
  $("about").textContent = `${photo.file.name}: ${size(photo)}${larger}`;
}

/** The models in the order in which they are applied: first those that keep the size. */
function chosen() {
  const names = [...form.querySelectorAll("[name=model]:checked")].map((box) => box.value);
  return names.sort((a, b) => (factors[a] > 1) - (factors[b] > 1));
}

/** Let the server measure the photo, and tick the models that it advises. */
async function advise() {
  const number = taken;
  $("advice").replaceChildren(item("Measuring the photo …"));
  const sameSize = !mask.empty || form.elements.preserve.checked;
  const advice = await server.advise(photo.file, sameSize).catch((error) => { $("advice").replaceChildren(); throw error; });
  if (number !== taken) return;  // another photo was chosen meanwhile
  const used = new Set(advice.filter(({ use }) => use).map(({ model }) => model));
  for (const box of form.querySelectorAll("[name=model]")) box.checked = used.has(box.value);
  $("advice").replaceChildren(...advice.map(({ model, use, reason }) => item(`${model}${use ? "" : " not used"}: ${reason}`)));
  describe();
}

const item = (text) => Object.assign(document.createElement("li"), { textContent: text });

async function restore() {
  if (!photo || running) return;
  if (!chosen().length) throw new Error("Choose at least one model.");
  const data = new FormData(form);
  data.delete("model");
  chosen().forEach((name) => data.append("model", name));
  data.append("photo", photo.file);
  for (const name of ["guarded", "ensemble"]) data.set(name, form.elements[name].checked);
  data.set("preserve", form.elements.preserve.checked ? 0.02 : 0);
  if (!mask.empty) data.append("mask", await mask.file(), "mask.png");
  running = new AbortController();
  const number = taken;
  forget();
  stage.alone();
  busy(true);
  $("status").textContent = "Sending the photo …";
  try {
    const { job, blob } = await server.restore(data, tell, running.signal);
    const file = new File([blob], job.name, { type: blob.type });
    const { url, width, height } = await shown(file);
    if (number !== taken) return URL.revokeObjectURL(url);  // another photo was chosen meanwhile
    result = { file };
    paint(false);
    stage.compare(url, width, height);
    Object.assign($("download"), { href: URL.createObjectURL(file), download: job.name });
    $("results").hidden = false;
    $("status").textContent = `Done: ${job.name}, ${size({ width, height })}.`;
    $("warnings").replaceChildren(...job.warnings.map(item));
    if (matchMedia("(max-width: 820px)").matches) $("view").scrollIntoView();
  } catch (error) {
    $("status").textContent = error.name === "AbortError" ? "Cancelled." : "";
    throw error;
  } finally {
    running = null;
    busy(false);
  }
}

function tell(job) {
  const known = job.state === "running" && job.progress > 0;
  if (known) $("progress").value = job.progress;
  else $("progress").removeAttribute("value");
  const before = job.ahead === 1 ? "1 photo is" : `${job.ahead} photos are`;
  const percent = known ? `: ${Math.round(100 * job.progress)} %` : " …";
  $("status").textContent = job.state === "waiting" ? `Waiting: ${before} restored before this one.` : `Restoring${percent}`;
}

function busy(is) {
  $("progress").hidden = $("cancel").hidden = !is;
  $("progress").removeAttribute("value");
  describe();
}

function paint(on) {
  $("paint").setAttribute("aria-pressed", on);
  $("brushes").hidden = !on;
  stage.painting = on;
}

/** From 1 pixel to a fifth of the photo, finer at the thin end. */
function setBrush() {
  const most = Math.max(photo.width, photo.height) / 5;
  stage.brush = Math.max(1, most ** ($("brush").value / 100));
}

function toggle(button) {
  button.setAttribute("aria-pressed", !pressed(button));
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** One tick box for each model. */
function list(models) {
  factors = Object.fromEntries(models.map((model) => [model.name, model.factor]));
  for (const model of models) {
    const label = Object.assign(document.createElement("label"), { className: "tick" });
    const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "model", value: model.name });
    const purpose = Object.assign(document.createElement("small"), { textContent: model.purpose });
    const text = document.createElement("span");
    text.append(model.name, purpose);
    label.append(box, text);
    $("models").append(label);
    box.addEventListener("change", () => {
      if (box.checked && model.factor > 1) {  // one enlargement is enough
        for (const other of form.querySelectorAll("[name=model]")) {
          if (other !== box && factors[other.value] > 1) other.checked = false;
        }
      }
      describe();
    });
  }
}

function choose(files) {
  const file = [...files].find((one) => one instanceof File);
  if (file) attempt(() => take(file));
}

$("photo").addEventListener("change", (event) => {
  choose(event.target.files);
  event.target.value = "";  // the same file can be chosen again
});
addEventListener("paste", (event) => choose(event.clipboardData.files));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
for (const type of ["dragleave", "drop"]) addEventListener(type, () => document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  choose(event.dataTransfer.files);
});

$("advise").addEventListener("click", () => attempt(advise));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(restore);
});
form.elements.strength.addEventListener("input", (event) => {
  $("strengthValue").textContent = `${Math.round(100 * event.target.value)} %`;
});
$("cancel").addEventListener("click", () => running?.abort());
$("continue").addEventListener("click", () => attempt(() => take(result.file)));
$("paint").addEventListener("click", () => paint(!pressed($("paint"))));
$("erase").addEventListener("click", () => toggle($("erase")));
$("brush").addEventListener("input", setBrush);
$("clear").addEventListener("click", () => mask.clear());
$("save").addEventListener("click", () => attempt(async () => save(await mask.file(), `${stem(photo.file.name)}-mask.png`)));
$("load").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (file) attempt(() => mask.load(file));
});

attempt(async () => {
  limits = await server.models();
  list(limits.models);
  describe();
});
