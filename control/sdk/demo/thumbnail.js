//! A small picture of a picture, to go along with its offer as an icon.

/** Pixels of its longer side. */
const SIDE_PX = 160;
/** Octets that an icon may have. */
const OCTETS_MAX = 10 * 1024;
/** How well it is made, if it would be too large otherwise. */
const QUALITIES = [0.8, 0.5, 0.2];

/**
 * @param {Blob} file
 * @returns {Promise<Blob | null>} null if it is no picture that the browser can show
 */
export async function thumbnail(file) {
  if (!/^image\/(png|jpeg|gif|webp|avif)$/.test(file.type)) return null;
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(SIDE_PX / Math.max(picture.width, picture.height), 1);
    const [width, height] = [picture.width, picture.height].map((side) => Math.max(Math.round(side * scale), 1));
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    // JPEG has no transparency; what is behind the picture would be black.
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(picture, 0, 0, width, height);
    picture.close();
    for (const quality of QUALITIES) {
      const made = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", quality); });
      if (made && made.size <= OCTETS_MAX) return made;
    }
  } catch {
    // It says that it is a picture, and is none.
  }
  return null;
}
