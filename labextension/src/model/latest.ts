/** Runs one thing at a time: whoever asks meanwhile gets one more round, which starts after they asked. */
export class Latest {
  constructor(private readonly work: () => Promise<void>) {}

  run(): Promise<void> {
    if (this.current === null) {
      this.current = this.work().finally(() => {
        this.current = null;
      });
      return this.current;
    }
    this.next ??= this.current.then(() => {
      this.next = null;
      return this.run();
    });
    return this.next;
  }

  private current: Promise<void> | null = null;
  private next: Promise<void> | null = null;
}
