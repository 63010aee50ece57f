"use strict";

const api = "/api";
const byId = (id) => document.getElementById(id);

async function showHealth() {
  try {
    const response = await fetch(`${api}/health`, { credentials: "include" });
    byId("backend").value = response.ok ? (await response.json()).status : `answered ${response.status}`;
  } catch {
    byId("backend").value = "cannot be reached";
  }
}

byId("generate").addEventListener("submit", async (event) => {
  event.preventDefault();
  const prompt = new FormData(event.target).get("prompt");
  const response = await fetch(`${api}/generate`, {
    method: "POST",
    credentials: "include",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ prompt }),
  });
  const { image } = await response.json();
  byId("result").src = image;
  byId("result").hidden = false;
});

const socket = new WebSocket(new URL("/ws", location.href.replace(/^http/, "ws")));
socket.addEventListener("message", (event) => {
  byId("progress").value = `${JSON.parse(event.data).progress} %`;
});

showHealth();
