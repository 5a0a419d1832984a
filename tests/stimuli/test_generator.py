"""Generators: the protocol, the schematic face, rendering to a folder with a manifest."""

import numpy as np
import pandas as pd
import pytest

import causalbias as cb

LATENTS = 32


@pytest.fixture(scope="module")
def make():
    return cb.stimuli.schematic()


@pytest.mark.parametrize("name", ["age", "hair", "lighting", "pose", "skin_tone", "smiling"])
def test_every_control_moves_the_picture_and_more_the_further(make, name):
    steps = np.array([0.0, 0.5, 1.0, 2.0])
    pictures = make(np.zeros((4, LATENTS)), **{name: steps}).astype(float)
    change = np.abs(pictures - pictures[0]).mean(axis=(1, 2, 3))
    assert (np.diff(change) > 0).all()


def test_a_control_is_worth_the_step_along_the_latents_that_it_stands_for(make):
    truth = cb.stimuli.schematic_truth()
    weights = truth.to_numpy()
    step = np.linalg.pinv(weights)[:, truth.indexes["attribute"].get_loc("pose")]
    shapes = make(np.zeros((1, LATENTS)), pose=np.array([1.0])).astype(int)
    along = make(step[None]).astype(int)
    # The step moves shapes of the face a little too: they are no attributes.
    assert np.abs(shapes - along).mean() < np.abs(shapes - make(np.zeros((1, LATENTS)))).mean()
    assert weights @ step == pytest.approx(np.eye(6)[3], abs=1e-9)


def test_left_and_right_are_mirror_images(make):
    left, right = make(np.zeros((2, LATENTS)), lighting=np.array([-1.0, 1.0])).astype(int)
    light = left.mean(axis=(0, 2))
    dark = right.mean(axis=(0, 2))[::-1]
    assert np.abs(light - dark).max() < 3  # the nose is drawn off the middle


def test_attributes_are_entangled_as_said():
    cosines = []
    for rng in range(20):
        weights = cb.stimuli.schematic_truth(rng).to_numpy()
        cosines.append((weights @ weights.T)[np.triu_indices(6, 1)].mean())
    assert np.mean(cosines) == pytest.approx(0.45, abs=0.05)


@pytest.mark.parametrize(
    ("latent", "controls"),
    [
        (np.zeros((2, 3)), {}),
        (np.full((2, LATENTS), np.nan), {}),
        (np.zeros((2, LATENTS)), {"beard": np.zeros(2)}),
        (np.zeros((2, LATENTS)), {"pose": np.zeros(3)}),
    ],
)
def test_what_does_not_fit_is_refused(make, latent, controls):
    with pytest.raises(cb.DataError):
        make(latent, **controls)


def test_what_is_no_picture_is_refused():
    float_pictures = cb.stimuli.Generator("g", lambda z, _: np.zeros((len(z), 4, 4, 3)), 2, "1")
    with pytest.raises(cb.DataError, match="uint8"):
        float_pictures(np.zeros((1, 2)))


def test_a_rendered_folder_reads_back_and_embeds(make, tmp_path):
    faces = cb.design.one_at_a_time({"seed": [1, 2]}, {"pose": [-1, 0, 1], "age": [0, 1]})
    random = np.random.default_rng(0)
    latent = random.normal(size=(2, LATENTS))[faces["seed"] - 1]
    controls = {
        name: np.where(faces["attribute"] == name, faces["level"], 0) for name in ("pose", "age")
    }
    made = cb.stimuli.render(make, faces, latent, tmp_path / "faces", controls=controls)
    found = cb.stimuli.read_manifest(tmp_path / "faces" / "manifest.csv")
    as_text = made.assign(seed=made["seed"].astype(str))  # ids are text in files
    pd.testing.assert_frame_equal(found, as_text, check_dtype=False)
    study = cb.make_study(factors=["seed", "attribute", "level"], stimuli=found)
    cube = cb.embed(cb.recognition.images_of(study, tmp_path / "faces"), "wavelets", align="none")
    assert (cube["status"] == "ok").all()
    same = cube["embedding"].sel(stimulus=["1_pose_0", "1_age_0"]).values[0]
    assert np.array_equal(same[0], same[1])


@pytest.mark.parametrize("name", ["../a", "a/b", "c:d"])
def test_a_face_cannot_be_written_elsewhere(make, tmp_path, name):
    faces = pd.DataFrame({"stimulus": [name], "seed": [1], "attribute": ["a"], "level": [0.0]})
    with pytest.raises(cb.DataError, match="cannot name a file"):
        cb.stimuli.render(make, faces, np.zeros((1, LATENTS)), tmp_path)


@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_torch_programs_generate(tmp_path, kind):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, z):
            return torch.tanh(z[:, :3, None, None] * torch.ones(1, 1, 4, 5))

    z = torch.tensor([[0.0, 9.0, -9.0, 1.0]])
    path = tmp_path / f"net.{kind}"
    if kind == "pt":
        torch.jit.script(Net()).save(str(path))
    else:
        torch.export.save(torch.export.export(Net().eval(), (z,)), str(path))
    make = cb.stimuli.torch_generator(path, latents=4)
    assert make(z.numpy())[0, 0, 0].tolist() == [128, 255, 0]
    make = cb.stimuli.torch_generator(path, latents=2, controls=["yaw", "pitch"])
    made = make(np.array([[0.0, 9.0]]), yaw=np.array([-9.0]))
    assert made[0, 0, 0].tolist() == [128, 255, 0]


@pytest.mark.parametrize("kind", ["tuple", "latents", "flat", "infinite"])
def test_torch_programs_that_are_no_generators(tmp_path, kind):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, z):
            if kind == "tuple":
                return z, z
            if kind == "latents":
                return z @ torch.ones(3, 3)
            if kind == "flat":
                return z
            return z[:, :3, None, None] / 0

    path = tmp_path / "net.pt"
    torch.jit.trace(Net(), torch.ones(2, 3)).save(str(path))
    with pytest.raises(cb.DataError, match=r"net\.pt"):
        cb.stimuli.torch_generator(path, latents=4)(np.ones((2, 4)))


def test_the_network_draws_the_same_faces_and_has_slopes(make, tmp_path):
    torch = pytest.importorskip("torch")
    names = [*make.controls]
    random = np.random.default_rng(0)
    latent, moved = random.normal(size=(5, LATENTS)), random.normal(size=(5, len(names)))
    controls = {name: moved[:, at] for at, name in enumerate(names)}
    wanted = make(latent, **controls).astype(int)
    network = cb.stimuli.schematic_network()
    z = torch.tensor(np.hstack([latent, moved]), dtype=torch.float32, requires_grad=True)
    pictures = network(z)
    pictures.square().mean().backward()
    assert torch.isfinite(z.grad).all()
    assert (z.grad.abs().sum(dim=0) > 0).all()
    batch = torch.export.Dim("faces")
    program = torch.export.export(network, (z.detach(),), dynamic_shapes=({0: batch},))
    torch.export.save(program, str(tmp_path / "s.pt2"))
    again = cb.stimuli.torch_generator(tmp_path / "s.pt2", latents=LATENTS, controls=names)
    found = again(latent, **controls).astype(int)
    assert np.abs(found - wanted).max() <= 1
    # A slope is what a small step changes.
    step = torch.zeros(1, LATENTS + len(names))
    step[0, LATENTS] = 1e-2
    start = z.detach()[:1]
    with torch.no_grad():
        change = (network(start + step).square().mean() - network(start - step).square().mean()) / 2
    other = start.clone().requires_grad_()
    network(other).square().mean().backward()
    assert float(other.grad[0, LATENTS]) * 1e-2 == pytest.approx(float(change), rel=0.1)


def picture_program(path, *, noise=0.0, batch=None, neighbours=False):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def forward(self, z):
            colour = z[:, :3]
            if batch is not None:
                colour = colour.reshape(batch, 3)
            if neighbours:
                colour = colour - colour.mean(0)
            made = colour[:, :, None, None] * torch.linspace(0, 1, 20).reshape(1, 1, 4, 5)
            if noise:
                made = made + noise * torch.randn(made.shape)
            return torch.tanh(made)

    example = torch.ones(batch or 2, 4)
    if path.suffix == ".pt":
        torch.jit.trace(Net(), example, check_trace=False).save(str(path))
    else:
        shapes = None if batch else ({0: torch.export.Dim("n")},)
        torch.export.save(torch.export.export(Net(), (example,), dynamic_shapes=shapes), path)
    return path


@pytest.mark.parametrize("kind", ["pt", "pt2"])
@pytest.mark.parametrize("noise", [1.0, 0.01])
def test_programs_that_draw_noise_are_refused(tmp_path, kind, noise):
    path = picture_program(tmp_path / f"g.{kind}", noise=noise)
    make = cb.stimuli.torch_generator(path, latents=4)
    for n in (1, 3):
        with pytest.raises(
            cb.DataError, match=r"g: a latent gives two pictures.*by the latents alone"
        ):
            make(np.ones((n, 4)))


def test_a_function_that_draws_noise_is_refused(tmp_path):
    def forward(latent, _):
        return np.random.default_rng().integers(0, 256, (len(latent), 4, 4, 3), np.uint8)

    noisy = cb.stimuli.Generator("noisy", forward, 2, "1")
    with pytest.raises(cb.DataError, match="a latent gives two pictures"):
        noisy(np.zeros((2, 2)))
    faces = pd.DataFrame({"stimulus": ["a"], "seed": [1], "attribute": ["x"], "level": [0.0]})
    with pytest.raises(cb.DataError, match="a latent gives two pictures"):
        cb.stimuli.render(noisy, faces, np.zeros((1, 2)), tmp_path)

    def seeded(latent, _):
        return np.random.default_rng(0).integers(0, 256, (len(latent), 4, 4, 3), np.uint8)

    with pytest.raises(cb.DataError, match="a latent gives two pictures"):
        cb.stimuli.Generator("seeded", seeded, 2, "1")(np.zeros((2, 2)))

    def broken(latent, _):
        raise KeyError("inside")

    with pytest.raises(cb.DataError, match=r"broken: it fails on 2 latents \(KeyError"):
        cb.stimuli.Generator("broken", broken, 2, "1")(np.zeros((2, 2)))


@pytest.mark.parametrize("kind", ["pt", "pt2"])
@pytest.mark.parametrize("batch", [None, 1, 4])
def test_programs_of_any_batch_draw_each_latent_as_alone(tmp_path, kind, batch):
    path = picture_program(tmp_path / f"g.{kind}", batch=batch)
    make = cb.stimuli.torch_generator(path, latents=4)
    latent = np.random.default_rng(0).normal(size=(7, 4))
    whole = make(latent)
    expected = np.tanh(latent[:, None, None, :3] * np.linspace(0, 1, 20).reshape(4, 5, 1))
    assert np.abs(whole - (expected + 1) / 2 * 255).max() < 1
    assert np.array_equal(whole, np.concatenate([make(latent[n : n + 1]) for n in range(7)]))
    assert np.array_equal(make(latent[::-1])[::-1], whole)


@pytest.mark.parametrize("kind", ["pt", "pt2"])
def test_programs_of_half_precision_draw(tmp_path, kind):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.colour = torch.nn.Linear(4, 3)

        def forward(self, z):
            return torch.tanh(self.colour(z))[:, :, None, None] * torch.ones(1, 1, 4, 5).half()

    network, example = Net().half().eval(), torch.ones(1, 4).half()
    path = tmp_path / f"g.{kind}"
    if kind == "pt":
        torch.jit.trace(network, example).save(str(path))
    else:
        torch.export.save(torch.export.export(network, (example,)), path)
    latent = np.random.default_rng(0).normal(size=(3, 4))
    weights, bias = (one.detach().float().numpy() for one in network.parameters())
    expected = (np.tanh(latent @ weights.T + bias) + 1) / 2 * 255
    made = cb.stimuli.torch_generator(path, latents=4)(latent)
    assert np.abs(made[:, 0, 0] - expected).max() < 2


def test_pictures_that_depend_on_their_neighbours_are_refused(tmp_path):
    make = cb.stimuli.torch_generator(
        picture_program(tmp_path / "g.pt", neighbours=True), latents=4
    )
    with pytest.raises(cb.DataError, match="depends on the other latents"):
        make(np.random.default_rng(0).normal(size=(3, 4)))


def test_an_exported_file_says_how_many_latents_it_takes(tmp_path):
    path = picture_program(tmp_path / "g.pt2")
    with pytest.raises(cb.DataError, match=r"the program takes \[None, 4\], not \(faces, 6\)"):
        cb.stimuli.torch_generator(path, latents=5, controls=["yaw"])
