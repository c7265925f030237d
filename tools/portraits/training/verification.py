"""Are two portraits of one person? New people in new views, all pairs, at the threshold that is best for them."""

import torch
from torch import Tensor

from rusr_core.networks.portrait_net import PortraitNet
from tools.portraits.renderer import ID_DIM, render, sample_z
from tools.portraits.training.render_training_set import normalized

IDENTITY_SEED, NUISANCE_SEED = 700_000, 700_001


@torch.no_grad()
def held_out_faces(people: int, views: int) -> Tensor:
    """Portraits `[people, views, 3, 128, 128]` of people that training never meets."""
    identity = sample_z(IDENTITY_SEED, people)[:, None, :ID_DIM].expand(-1, views, -1)
    nuisance = sample_z(NUISANCE_SEED, people * views)[:, ID_DIM:].view(people, views, -1)
    z = normalized(torch.cat([identity, nuisance], 2))
    return render(z.flatten(0, 1)).unflatten(0, (people, views))


@torch.no_grad()
def verify(net: PortraitNet, faces: Tensor) -> float:
    """Balanced accuracy over all pairs of `[people, views, 3, H, W]`, at the threshold that is best for them."""
    people, views = faces.shape[:2]
    embedded = torch.cat([net.embed(c).cpu() for c in faces.flatten(0, 1).split(50)])
    scores, person = embedded @ embedded.t(), torch.arange(people).repeat_interleave(views)
    first, second = torch.triu_indices(len(person), len(person), 1)
    score, same = scores[first, second], person[first] == person[second]
    thresholds = torch.linspace(-1, 1, 401)
    accepted = torch.stack([(score[same] > t).float().mean() for t in thresholds])
    refused = torch.stack([(score[~same] <= t).float().mean() for t in thresholds])
    return ((accepted + refused) / 2).max().item()
