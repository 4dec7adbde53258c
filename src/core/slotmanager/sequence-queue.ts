/** A queue ordered by `sequence`: cheap at both ends, where nearly all of its use is, and able to take back an older one. */
export class SequenceQueue<Item extends { readonly sequence: number }> {
  #items: Item[] = [];
  /** Items before it have left. */
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  first(): Item | undefined {
    return this.#items[this.#head];
  }

  /** False when it was there already. */
  insert(item: Item): boolean {
    const index = this.#position(item.sequence);
    if (this.#items[index]?.sequence === item.sequence) return false;
    if (index === this.#head && this.#head > 0) this.#items[--this.#head] = item;
    else if (index === this.#items.length) this.#items.push(item);
    else this.#items.splice(index, 0, item);
    return true;
  }

  /** False when it was not there. */
  remove(item: Item): boolean {
    const index = this.#position(item.sequence);
    if (this.#items[index] !== item) return false;
    if (index !== this.#head) {
      this.#items.splice(index, 1);
      return true;
    }
    this.#head++;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return true;
  }

  *[Symbol.iterator](): Iterator<Item> {
    for (let i = this.#head; i < this.#items.length; i++) {
      const item = this.#items[i];
      if (item !== undefined) yield item;
    }
  }

  #position(sequence: number): number {
    let low = this.#head;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const item = this.#items[middle];
      if (item !== undefined && item.sequence < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
