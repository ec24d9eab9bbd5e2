import { useEffect, useRef } from 'preact/hooks';
import type { Thumbnail } from '../core/thumbnails.ts';

interface Props {
  picture: Thumbnail | null;
  width: number;
  height: number;
  class?: string;
}

/** A small picture out of its sheet, in a box that is there before it; for those who see. */
export function Thumb({ picture, width, height, class: name = '' }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const to = canvas.current;
    const context = to?.getContext('2d');
    if (!to || !context) return;
    context.clearRect(0, 0, to.width, to.height);
    if (!picture) return;
    const { sheet, x, y, width: w, height: h } = picture;
    context.imageSmoothingQuality = 'high';
    context.drawImage(sheet, x, y, w, h, 0, 0, to.width, to.height);
  }, [picture?.sheet, picture?.x, picture?.y]);
  const ratio = Math.min(2, devicePixelRatio || 1);
  return (
    <canvas
      ref={canvas}
      class={`thumb ${name}`}
      width={Math.round(width * ratio)}
      height={Math.round(height * ratio)}
      data-at={picture?.at}
      aria-hidden="true"
    />
  );
}
