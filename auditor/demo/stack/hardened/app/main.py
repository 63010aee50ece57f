"""The backend of the Qwen image system, hardened: nginx alone answers CORS, and the API documents itself to nobody."""

from __future__ import annotations

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect

app = FastAPI(title="Qwen image API", version="2.0", docs_url=None, redoc_url=None, openapi_url=None)

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@app.get("/health")
async def health() -> dict[str, str]:
    """Say that the backend is alive."""
    return {"status": "healthy"}


@app.get("/status")
async def status() -> dict[str, object]:
    """Say what the backend is doing."""
    return {"status": "ready", "model": "qwen-image", "queue": 0}


@app.get("/images")
async def images() -> dict[str, list[dict[str, str]]]:
    """List the images of the signed-in user."""
    return {"images": [{"id": "1", "url": PIXEL}]}


@app.post("/generate")
async def generate(request: Request) -> dict[str, str]:
    """Pretend to make an image of a prompt."""
    size = len(await request.body())
    return {"id": "1", "image": PIXEL, "prompt_bytes": str(size)}


@app.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    """Count the bytes of an upload and forget them."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return {"bytes": size}


@app.websocket("/ws")
async def progress(websocket: WebSocket) -> None:
    """Report progress: echo what the page says; nginx has looked at its origin."""
    await websocket.accept()
    await websocket.send_json({"progress": 0})
    try:
        while True:
            await websocket.send_json({"progress": 100, "echo": await websocket.receive_text()})
    except WebSocketDisconnect:
        return
