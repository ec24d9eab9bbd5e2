// Search from a folder (file://): browsers start no worker there, so it runs in a hidden frame.
// Over http the browser's own workers are used.
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.waiting = [];
      const frame = document.createElement('iframe');
      frame.hidden = true;
      document.body.append(frame);
      const scope = frame.contentWindow;
      scope.importScripts = (...names) =>
        names.reduce((before, name) => before.then(() => run(scope, name)), Promise.resolve());
      scope.postMessage = (data) => this.tell(data);
      run(scope, String(url)).then(() => {
        this.scope = scope;
        this.waiting.forEach((data) => this.postMessage(data));
      });
    }

    postMessage(data) {
      if (!this.scope) this.waiting.push(data);
      else this.scope.dispatchEvent(new MessageEvent('message', { data }));
    }

    tell(data) {
      const event = new MessageEvent('message', { data });
      this.dispatchEvent(event);
      this.onmessage?.(event);
    }

    terminate() {}
  };
}

function run(scope, url) {
  return new Promise((done, failed) => {
    const script = scope.document.createElement('script');
    script.src = url;
    script.onload = done;
    script.onerror = failed;
    scope.document.body.append(script);
  });
}
