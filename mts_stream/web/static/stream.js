// Server-sent events with a watchdog: a connection that says nothing for SILENT_MS is a lost one.

const SILENT_MS = 5000;
const RETRY_MS = 1000;
const RETRY_MS_MAX = 5000;

export class Stream {
  constructor(url, onMessage, onState) {
    this.url = url;
    this.onMessage = onMessage;
    this.onState = onState;
    this.retryMs = RETRY_MS;
    this.open();
    setInterval(() => this.check(), 500);
  }

  open() {
    this.heard = performance.now();
    this.retryAt = null;
    this.source = new EventSource(this.url);
    for (const name of ["snapshot", "changes"]) {
      this.source.addEventListener(name, (event) => this.heardMessage(JSON.parse(event.data)));
    }
    this.source.addEventListener("error", () => this.lost());
  }

  heardMessage(message) {
    this.heard = performance.now();
    this.retryMs = RETRY_MS;
    this.onMessage(message);
    this.onState("connected");
  }

  lost() {
    if (this.retryAt !== null) return;
    this.source.close();
    this.onState("disconnected");
    this.retryAt = performance.now() + this.retryMs;
    this.retryMs = Math.min(this.retryMs * 1.5, RETRY_MS_MAX);
  }

  check() {
    const now = performance.now();
    if (this.retryAt === null && now - this.heard > SILENT_MS) this.lost();
    else if (this.retryAt !== null && now >= this.retryAt) this.open();
  }
}
