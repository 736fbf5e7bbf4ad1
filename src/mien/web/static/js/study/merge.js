// Two windows change one list, of films, questions or groups: what each did is put together, unless both changed the same.

const canonical = (value) =>
  Array.isArray(value)
    ? value.map(canonical)
    : value && typeof value === "object"
      ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, canonical(value[key])]))
      : (value ?? null);

/** Whether two values of JSON are the same, whatever the order of their keys; null is as good as nothing. */
export const alike = (a, b) => JSON.stringify(canonical(a)) === JSON.stringify(canonical(b));

/** One thing that both have: each field from the side that changed it; null where both did. */
function one(base, mine, theirs) {
  const merged = {};
  for (const key of new Set([...Object.keys(theirs), ...Object.keys(mine)])) {
    if (alike(mine[key], theirs[key]) || alike(mine[key], base[key])) merged[key] = theirs[key];
    else if (alike(theirs[key], base[key])) merged[key] = mine[key];
    else return null;
  }
  return merged;
}

const isList = (value) => Array.isArray(value) && value.every((item) => typeof item?.id === "string");

/** Lists of things with ids; null where that is not what they are, or both sides changed the same thing. */
export function merged(base, mine, theirs) {
  if (![base, mine, theirs].every(isList)) return null;
  const [was, here, there] = [base, mine, theirs].map((list) => new Map(list.map((item) => [item.id, item])));
  const kept = new Map();
  for (const id of new Set([...there.keys(), ...here.keys()])) {
    const [old, ours, others] = [was.get(id), here.get(id), there.get(id)];
    if (ours && others) {
      const both = one(old ?? {}, ours, others);
      if (!both) return null;
      kept.set(id, both);
    } else if (!old) kept.set(id, ours ?? others); // new on one side
    else if (!alike(old, ours ?? others)) return null; // taken away on one side, changed on the other
  }
  const order = (list) => list.map((item) => item.id).filter((id) => was.has(id) && here.has(id) && there.has(id));
  const leading = alike(order(mine), order(base)) ? theirs : mine;
  const ids = leading.map((item) => item.id).filter((id) => kept.has(id));
  return [...ids, ...[...kept.keys()].filter((id) => !ids.includes(id))].map((id) => kept.get(id));
}
