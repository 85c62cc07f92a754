"""What is refused, or fails, for the state of the service and not for the request."""

from http import HTTPStatus

from gradient_service.http.problem_types.problem_type import ProblemType
from gradient_service.schemas.problem import Slug

OF_THE_SERVICE = {
    Slug.OVERLOADED: ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        why="Calls are admitted by the memory that they will take and by the cores that are free. What has no room is "
        "refused at once, most often before its body is read, so that the calls under way end in time. A call that "
        "is larger than the whole budget never has room.",
        mend="Try again after `Retry-After` seconds, each time waiting longer; repeating is safe, and the client does "
        "so. If it lasts: fewer calls at once, smaller ones, or more processes.",
        limits=("max_in_flight_bytes", "max_concurrency"),
    ),
    Slug.SHUTTING_DOWN: ProblemType(
        HTTPStatus.SERVICE_UNAVAILABLE,
        why="Before a process ends it says so at `/readyz`, and goes on answering until load balancers have noticed. "
        "It says the same before it has started, and to calls that are not done when it has waited long enough.",
        mend="Nothing to mend: try again after `Retry-After` seconds, or ask another process.",
    ),
    Slug.DEADLINE_EXCEEDED: ProblemType(
        HTTPStatus.GATEWAY_TIMEOUT,
        why="`X-Request-Deadline-Ms` says after how many milliseconds an answer is of no use. Waiting counts, for the "
        "body and for a turn; past the deadline the work ends, and its cores are free for others.",
        mend="Allow more time, send fewer rows in a call, or fewer calls at once. The client's `timeout` is that "
        "deadline, for all attempts together.",
    ),
    Slug.NOT_IMPLEMENTED: ProblemType(
        HTTPStatus.NOT_IMPLEMENTED,
        why="Of the Open Inference Protocol everything is offered that computes. Models cannot be loaded, memory "
        "cannot be shared, trace and log cannot be set by callers; all of these would be state.",
        mend="Leave it out: the three models are always loaded, and tensors travel in the message.",
    ),
    Slug.INTERNAL_ERROR: ProblemType(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        why="Something happened that nobody foresaw. The log of the service holds it, under the `request_id` of the "
        "answer; the answer tells nothing of it.",
        mend="Report it with the `request_id`. Trying again helps where memory was short; the client does not, since "
        "the same request mostly fails again.",
    ),
}
