/** Tells the views that something changed, at most once per animation frame. */
export class Store {
  version = 0;
  readonly #listeners = new Set<() => void>();
  #due = false;

  changed(): void {
    if (this.#due) return;
    this.#due = true;
    const tell = (): void => {
      this.#due = false;
      this.version += 1;
      for (const listener of this.#listeners) listener();
    };
    // A hidden tab has no animation frames, but its title and calls go on.
    if (document.visibilityState === 'visible') requestAnimationFrame(tell);
    else setTimeout(tell, 50);
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
