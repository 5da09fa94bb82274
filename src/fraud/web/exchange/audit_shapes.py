"""Messages of China's audit interface as the description of the calls shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AuditAnswer", "AuditMessage"]


class AuditInput(BaseModel):
    """What a message carries; its names are those of the interface."""

    data: dict[str, Any] = Field(description="3101, 3102: patient_dtos, trig_scen, …; 3103: warn_type, warns")


class AuditMessage(BaseModel):
    """A message of the audit interface; what is not listed is let through."""

    infno: Literal["3101", "3102", "3103"]
    msgid: str = Field(max_length=30, description="institution (12), time (14), number (4)")
    inf_time: str = Field(description="yyyy-MM-dd HH:mm:ss")
    fixmedins_code: str
    mdtrtarea_admvs: str | None = None
    insuplc_admdvs: str | None = None
    input: AuditInput


class AuditDetail(BaseModel):
    """One order behind a result."""

    model_config = ConfigDict(extra="forbid")

    jrd_id: str
    patn_id: str
    mdtrt_id: str
    rx_id: str | None
    vola_item_type: Literal["1", "2"]
    vola_amt: float = Field(ge=0)


class AuditResult(BaseModel):
    """What a rule says of a visit."""

    model_config = ConfigDict(extra="forbid")

    jr_id: str = Field(max_length=50)
    rule_id: str
    rule_name: str = Field(max_length=200)
    vola_cont: str = Field(max_length=500)
    patn_id: str
    mdtrt_id: str
    judge_result_detail_dtos: list[AuditDetail]
    vola_amt: float = Field(ge=0)
    vola_amt_stas: str
    sev_deg: str
    vola_evid: str = Field(max_length=500)
    vola_bhvr_type: str
    task_id: str | None


class AuditOutput(BaseModel):
    """Results; none means that nothing was found."""

    model_config = ConfigDict(extra="forbid")

    result: list[AuditResult]


class AuditAnswer(BaseModel):
    """The answer to a message: `infcode` is 0, or -1 when the message itself is wrong, as `err_msg` then says."""

    model_config = ConfigDict(extra="forbid")

    infcode: Literal[0, -1]
    inf_refmsgid: str = Field(pattern=r"^\d{30}$")
    refmsg_time: str = Field(pattern=r"^\d{17}$")
    respond_time: str = Field(pattern=r"^\d{17}$")
    err_msg: str
    output: AuditOutput
