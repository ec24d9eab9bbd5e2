export const SPEEDS: readonly number[] = [0.5, 1, 2, 4, 8, 16];

/** For a button that goes through the speeds one by one. */
export const speedAfter = (rate: number): number =>
  SPEEDS[(SPEEDS.indexOf(rate) + 1) % SPEEDS.length] ?? 1;
