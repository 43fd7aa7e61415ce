// The live page's script, the only one of the site: shows each event when it arrives.
"use strict";

const output = document.getElementById("arrivals");
const form = document.getElementById("live");
let source = null;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (source) source.close();
  output.textContent = "";
  const query = new URLSearchParams(new FormData(form));
  const started = performance.now();
  const show = (text) => {
    const seconds = ((performance.now() - started) / 1000).toFixed(2).padStart(6);
    output.textContent += `${seconds} s  ${text}\n`;
    output.scrollTop = output.scrollHeight;
  };
  source = new EventSource(`/events?${query}`);
  source.onopen = () => show("response header");
  source.onmessage = (message) => show(message.data);
  // A server-sent stream has no end of its own: without this the browser would ask again.
  source.onerror = () => { source.close(); show("end of the stream"); };
});

form.querySelector("button").disabled = false;
