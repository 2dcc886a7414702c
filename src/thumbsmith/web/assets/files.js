// Files that the user drops, pastes or chooses, with folders. Each one is {file, name, isInFolder}.

const isHidden = (name) => name.split("/").some((part) => part.startsWith("."));

// From a file input. A folder input gives each file its path.
export function chosenFiles(input) {
  return [...input.files]
    .map((file) => ({ file, name: file.webkitRelativePath || file.name, isInFolder: Boolean(file.webkitRelativePath) }))
    .filter(({ name }) => !isHidden(name));
}

// From the clipboard. Screenshots have no name of their own.
export function pastedFiles(data) {
  const files = [...data.files];
  return files.map((file) => ({ file, name: file.name === "image.png" ? `pasted-${stamp()}.png` : file.name, isInFolder: false }));
}

function stamp() {
  return new Date().toISOString().slice(0, 19).replaceAll(":", "-").replace("T", "-");
}

// From a drop. The entries must be read before the first pause: the browser then empties the list.
export async function droppedFiles(data) {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...data.files].map((file) => ({ file, name: file.name, isInFolder: false }));
  const found = [];
  for (const entry of entries) await collect(entry, "", found);
  return found;
}

async function collect(entry, folder, found) {
  const name = folder + entry.name;
  if (folder && isHidden(name)) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) found.push({ file, name, isInFolder: Boolean(folder) });
    return;
  }
  const reader = entry.createReader();
  for (;;) { // one call returns a hundred entries at most
    const children = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (!children.length) return;
    for (const child of children) await collect(child, `${name}/`, found);
  }
}
