"""The method in the plainest code that says it: one token, one head, one node at a time, in float64.

Written from the paper's definitions alone, as a second opinion: it shares no code with the library, and uses loops
where the library uses batches.
"""

import math

import torch
from torch.nn.functional import cosine_similarity, silu


class Reference:
    """Llama with self-injection.

    Args:
        weights: state dict, base names and `injection.{layer}.…`.
        numbers: heads, kv, layers, m, theta, eps, height, ratio, policy, sample_at, key_positions, offset.
    """

    def __init__(self, weights, **numbers):
        self.w = {name: weight.double() for name, weight in weights.items()}
        self.n = numbers
        self.size = self.w["model.layers.0.self_attn.q_proj.weight"].shape[0] // numbers["heads"]

    # ------------------------------------------------------------------------------------------ parts of Llama

    def norm(self, x, name):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.n["eps"]) * self.w[name]

    def rotate(self, vector, position):
        half = self.size // 2
        turned = torch.empty_like(vector)
        for i in range(half):
            angle = position * self.n["theta"] ** (-2 * i / self.size)
            a, b = vector[i], vector[i + half]
            turned[i] = a * math.cos(angle) - b * math.sin(angle)
            turned[i + half] = b * math.cos(angle) + a * math.sin(angle)
        return turned

    def heads(self, x, name):
        return (x @ self.w[name].T).view(len(x), -1, self.size)

    def mlp(self, x, layer):
        at = f"model.layers.{layer}.mlp."
        gate, up = x @ self.w[at + "gate_proj.weight"].T, x @ self.w[at + "up_proj.weight"].T
        return (silu(gate) * up) @ self.w[at + "down_proj.weight"].T

    def attend(self, query, keys, values):
        """One query [D] over keys and values [S, D]."""
        return torch.softmax(keys @ query / math.sqrt(self.size), dim=0) @ values

    def layer(self, x, layer, past=None):
        """Returns the layer's output, its rotated keys and its values [tokens, kv heads, D]."""
        at = f"model.layers.{layer}."
        group = self.n["heads"] // self.n["kv"]
        normed = self.norm(x, at + "input_layernorm.weight")
        q, k, v = (self.heads(normed, f"{at}self_attn.{p}_proj.weight") for p in "qkv")
        for t in range(len(x)):
            q[t] = torch.stack([self.rotate(head, t) for head in q[t]])
            k[t] = torch.stack([self.rotate(head, t) for head in k[t]])
        mixed = torch.stack(
            [
                torch.cat(
                    [
                        self.attend(q[t, h], k[: t + 1, h // group], v[: t + 1, h // group])
                        for h in range(self.n["heads"])
                    ]
                )
                for t in range(len(x))
            ]
        )
        x = x + mixed @ self.w[at + "self_attn.o_proj.weight"].T
        if past is not None and layer < self.n["m"]:
            x = x + self.inject(x, layer, *past[layer])
        return x + self.mlp(self.norm(x, at + "post_attention_layernorm.weight"), layer), k, v

    def inject(self, x, layer, keys, values, query_position):
        at = f"injection.{layer}."
        group = self.n["heads"] // self.n["kv"]
        q = self.heads(self.norm(x, at + "layernorm.weight"), at + "q_proj.weight")
        mixed = torch.stack(
            [
                torch.cat(
                    [
                        self.attend(self.rotate(q[t, h], query_position), keys[:, h // group], values[:, h // group])
                        for h in range(self.n["heads"])
                    ]
                )
                for t in range(len(x))
            ]
        )
        return mixed @ self.w[at + "o_proj.weight"].T

    # ------------------------------------------------------------------------------------------ the method

    def vector(self, ids):
        x, _, _ = self.layer(self.w["model.embed_tokens.weight"][ids], 0)
        return self.norm(x[-1], "model.norm.weight")

    def nodes(self, ids, query):
        """Retained (level, start, end) of one chunk."""
        level, start, end, retained = 0, 0, len(ids), []
        for w in range(1, self.n["height"] + 1):
            if end - start < 2:
                break
            middle = start + (end - start) // 2
            if w == self.n["height"]:
                return [*retained, (w, start, middle), (w, middle, end)]
            right = self.n["policy"] == "right" or cosine_similarity(
                self.vector(ids[middle:end]), self.vector(query), dim=0
            ) > cosine_similarity(self.vector(ids[start:middle]), self.vector(query), dim=0)
            level = w
            if right:
                retained.append((w, start, middle))
                start = middle
            else:
                retained.append((w, middle, end))
                end = middle
        return [*retained, (level, start, end)]

    def kept(self, length, level):
        finest = self.n["ratio"] * (self.n["height"] + 1) / 2 ** self.n["height"]
        k = max(1, math.ceil(length / (finest * 2 ** (self.n["height"] - level))))
        if self.n["sample_at"] == "interval_start":
            return [math.floor(i * length / k) for i in range(k)]
        return [math.floor((i + 1) * length / k) - 1 for i in range(k)]

    def past(self, chunks, query):
        """Per layer (keys, values, query position), and the rows (chunk, level, start, end, states)."""
        keys, values, rows = [[] for _ in range(self.n["m"])], [[] for _ in range(self.n["m"])], []
        for c, ids in enumerate(chunks):
            for level, start, end in self.nodes(ids, query):
                kept = self.kept(end - start, level)
                rows.append((c, level, start, end, len(kept)))
                x = self.w["model.embed_tokens.weight"][ids[start:end]]
                for layer in range(self.n["m"]):
                    x, k, v = self.layer(x, layer)
                    for place in kept:
                        turn = c if self.n["key_positions"] == "local_plus_chunk" else c - place
                        keys[layer].append(torch.stack([self.rotate(head, turn) for head in k[place]]))
                        values[layer].append(v[place])
        position = len(chunks) + self.n["offset"]
        return [(torch.stack(k), torch.stack(v), position) for k, v in zip(keys, values, strict=True)], rows

    def logits(self, ids, past):
        x = self.w["model.embed_tokens.weight"][ids]
        for layer in range(self.n["layers"]):
            x, _, _ = self.layer(x, layer, past)
        return self.norm(x, "model.norm.weight") @ self.w["lm_head.weight"].T
